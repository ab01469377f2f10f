// Contents, scrolling by keyboard and search; without JavaScript the pages can still be read.
/* global loaded, root -- of common.js */
const contents = document.querySelector("#contents details");
const wide = matchMedia("(min-width: 68rem)");
const unfold = () => {
  contents.open = wide.matches;
  if (contents.open) contents.parentElement.scrollTop = contents.querySelector("[aria-current]").offsetTop - 120;
};
wide.addEventListener("change", unfold);
unfold();

// What is wider than the page can be scrolled with the arrow keys once it has the focus.
function reach() {
  for (const box of document.querySelectorAll("main :is(pre, .scroll, .katex-display)")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("resize", reach);
addEventListener("load", reach);
document.addEventListener("toggle", reach, true);

const dialog = document.getElementById("search"), field = dialog.querySelector("input");
const list = dialog.querySelector("ol"), told = dialog.querySelector("[role=status]");
let index;

async function open() {
  dialog.showModal();
  field.select();
  if (index) return;
  try {
    await Promise.all([loaded("minisearch/minisearch.js"), loaded("search.js")]);
  } catch {
    told.textContent = "The index of the search is missing: copy the folder assets along with the pages.";
    return;
  }
  index = new MiniSearch({
    fields: ["heading", "page", "text"],
    storeFields: ["heading", "page", "text", "address"],
    searchOptions: { boost: { heading: 4, page: 2 }, prefix: true, fuzzy: (term) => (term.length > 3 ? 0.25 : false), combineWith: "AND" },
  });
  index.addAll(SEARCH.map((section, id) => ({ id, ...section })));
  show();
}

function made(name, text, more = {}) {
  return Object.assign(document.createElement(name), { textContent: text }, more);
}

function around(text, terms) {
  const at = Math.max(0, Math.min(...terms.map((term) => text.toLowerCase().indexOf(term)).filter((at) => at >= 0), text.length) - 60);
  const from = at >= text.length - 60 || at === 0 ? 0 : text.indexOf(" ", at) + 1;
  return `${from ? "… " : ""}${text.slice(from, from + 180).trim()} …`;
}

function show() {
  if (!index) return;
  const words = field.value.trim();
  // The course first, unless a name of the library is sought.
  const boostDocument = (id) => (SEARCH[id].address.startsWith("api/") && !/[_.]/.test(words) ? 0.4 : 1);
  const found = words ? index.search(words, { boostDocument }) : [];
  told.textContent = !words ? "" : found.length ? `${found.length} sections` : `Nothing is found for “${words}”. Try fewer words.`;
  list.replaceChildren(...found.slice(0, 30).map((one) => {
    const item = made("li", "");
    const same = one.heading === one.page;
    item.append(made("a", same ? one.page : `${one.page}: ${one.heading}`, { href: root + one.address }));
    item.append(made("p", around(one.text, one.terms)));
    return item;
  }));
}

field.addEventListener("input", show);
list.addEventListener("click", (event) => { if (event.target.closest("a")) dialog.close(); });
field.addEventListener("keydown", (event) => {
  if (event.key === "Escape") dialog.close(); // at once; the field itself would only be emptied
  if (event.key === "ArrowDown") list.querySelector("a")?.focus();
  if (event.key !== "Enter") return;
  event.preventDefault(); // Enter goes to the first result
  list.querySelector("a")?.click();
});
const button = document.getElementById("find");
button.hidden = false;
button.addEventListener("click", open);
addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || typing || dialog.open) return;
  event.preventDefault();
  open();
});
