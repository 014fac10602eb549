#!/usr/bin/env bash
# Opens a report in headless Chromium: the table is sorted by a click, nothing is wider than the window at 400 and 1400 pixels, and
# screenshots are taken in light and dark. tests/browser.sh [report.html] [folder for screenshots]
#
# Without arguments it makes the report of the shipped sample. Skips with a message where there is no Chromium.
set -euo pipefail
cd "$(dirname "$0")/.."
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ]; then
    echo "skipped: no Chromium here"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
page=${1:-}
if [ -z "$page" ]; then
    cargo build --release
    "${CARGO_TARGET_DIR:-target}/release/nkfac-bench" report results/sample/quickstart --out "$work/report.html"
    page=$work/report.html
fi
shots=${2:-$work}
mkdir -p "$shots"
chromium() { "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars "$@" 2>/dev/null; }

# What a reader does, and what the table then says, written where `--dump-dom` shows it.
cat "$page" - >"$work/clicked.html" <<'SCRIPT'
<script>
const column = 4;
const heads = document.querySelectorAll("table.sortable thead button");
const keys = () => [...document.querySelectorAll("table.sortable tbody tr")].map((row) => Number(row.cells[column].dataset.key));
const sorted = (list, sign) => list.every((key, i) => i === 0 || sign * (key - list[i - 1]) >= 0);
const before = keys().join();
heads[column].click();
const up = sorted(keys(), 1);
heads[column].click();
const down = sorted(keys(), -1);
const accuracies = () => [...document.querySelectorAll("table.sortable tbody tr")].map((row) => Number(row.cells[1].dataset.key));
heads[1].click();
const best = sorted(accuracies(), -1);
const box = document.querySelector("input[data-arm]");
box.click();
const hidden = [...document.querySelectorAll("svg .arm0")].every((mark) => mark.style.display === "none");
document.querySelector("button[data-switch]").click();
const switched = document.querySelectorAll("#curves .drawing")[0].hidden && !document.querySelectorAll("#curves .drawing")[1].hidden;
heads[0].click();
const names = [...document.querySelectorAll("table.sortable tbody th")].map((cell) => cell.textContent);
const named = names.join() === [...names].sort((a, b) => a.localeCompare(b)).join();
const told = document.querySelectorAll("svg title").length;
const fits = document.documentElement.scrollWidth <= window.innerWidth;
document.body.innerHTML = `<p id="verdict">rows=${names.length} up=${up} down=${down} best=${best} hidden=${hidden} switched=${switched} named=${named} told=${told > 0} fits=${fits}</p>`;
</script>
SCRIPT
failed=0
for width in 400 1400; do
    said=$(chromium --window-size=$width,1000 --dump-dom "file://$(realpath "$work/clicked.html")" | grep -o '<p id="verdict">[^<]*' || true)
    echo "$width px: ${said#*>}"
    case $said in *"up=true down=true best=true hidden=true switched=true named=true told=true fits=true") ;; *) failed=1 ;; esac
    # 0 is dark, 1 is light.
    for scheme in 0 1; do
        chromium --window-size=$width,3600 --blink-settings=preferredColorScheme=$scheme \
            --screenshot="$(realpath "$shots")/$width-$([ $scheme = 0 ] && echo dark || echo light).png" "file://$(realpath "$page")"
    done
done
# Control: without its script the table does not sort.
sed '/table.sortable"))/,/^}/d' "$work/clicked.html" >"$work/broken.html"
chromium --dump-dom "file://$work/broken.html" | grep -q 'up=true down=true' && { echo "the control passed"; failed=1; }
[ $failed = 0 ] && echo ok
exit $failed
