// A click on a head sorts by its column, the best first, a second one the other way round. What has no number comes last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const button = head.querySelector("button");
      const before = head.getAttribute("aria-sort");
      const ascending = before ? before !== "ascending" : button.dataset.first === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const key = (row) => {
        const cell = row.cells[column];
        if (!("key" in cell.dataset)) return cell.textContent;
        return cell.dataset.key === "" ? null : Number(cell.dataset.key);
      };
      const order = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === null || y === null) return (x === null) - (y === null);
        const sign = ascending ? 1 : -1;
        return sign * (typeof x === "string" ? x.localeCompare(y) : x - y);
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
    });
  });
}

// An arm's box hides its lines and marks in all figures.
for (const box of document.querySelectorAll("input[data-arm]")) {
  box.addEventListener("change", () => {
    for (const mark of document.querySelectorAll(`svg .arm${box.dataset.arm}`)) mark.style.display = box.checked ? "" : "none";
  });
}

// The other view of a figure: accuracy, or the error on a logarithmic axis.
for (const button of document.querySelectorAll("button[data-switch]")) {
  button.addEventListener("click", () => {
    for (const drawing of button.closest("figure").querySelectorAll(".drawing")) drawing.hidden = !drawing.hidden;
  });
}

// Saves a figure as it is seen, with the colours of the page written out.
for (const button of document.querySelectorAll("button[data-save]")) {
  button.addEventListener("click", () => {
    const shown = [...button.closest("figure").querySelectorAll("svg")].find((svg) => svg.getClientRects().length > 0);
    if (!shown) return;
    const style = getComputedStyle(document.documentElement);
    const text = shown.outerHTML.replace(/var\((--[a-z]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
    link.download = `${button.dataset.save}.svg`;
    link.click();
    URL.revokeObjectURL(link.href);
  });
}
