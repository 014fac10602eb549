// In a served report only: looks every few seconds whether there is something new, and then loads it at the same place.
const version = document.currentScript.dataset.version;
const place = sessionStorage.getItem("place");
if (place !== null) {
  sessionStorage.removeItem("place");
  window.scrollTo(0, Number(place));
}
setInterval(async () => {
  try {
    const answer = await fetch("/version", { cache: "no-store" });
    if (answer.ok && (await answer.text()) !== version) {
      sessionStorage.setItem("place", String(window.scrollY));
      location.reload();
    }
  } catch {
    // Whoever served it has ended: the page stays as it is.
  }
}, 3000);
