// The one script of the site: tables that sort and filter, and the player of sample pages. It asks for nothing from anywhere.
"use strict";

const arrived = [];

function moreRows(rows) {  // called by the scripts beside a long board
  arrived.push(...rows);
}

function script(name) {
  return new Promise((done, failed) => {
    const element = document.createElement("script");
    Object.assign(element, {src: name, onload: done, onerror: () => failed(name)});
    document.head.append(element);
  });
}

let loading = null;

// Calls `then` once a table has all of its rows: at once, or when those beyond the page's own are loaded; `failed` if they are not there.
function whole(table, then, failed) {
  if (!table.dataset.more) return then();
  loading ??= (async () => {
    arrived.length = 0;
    for (const name of table.dataset.more.split(" ")) await script(name);
    const rows = document.createElement("template"), body = table.tBodies[0];
    rows.innerHTML = arrived.join("");
    for (const row of body.querySelectorAll("[data-again]")) row.remove();
    body.append(rows.content);
    delete table.dataset.more;
  })();
  loading.then(then, () => { loading = null; failed(); });
}

function sortable(table) {
  const heads = table.tHead.rows[0].cells, body = table.tBodies[0];
  for (const head of heads) {
    if (!head.dataset.sort) continue;
    const button = document.createElement("button");
    const small = head.querySelector("small");
    button.type = "button";
    button.append(...[...head.childNodes].filter(node => node !== small));
    head.prepend(button);
    button.addEventListener("click", () => whole(table, () => sort(head), () => table.dispatchEvent(new Event("partial"))));
  }

  function key(cell, kind) {
    if (kind === "text") return cell.textContent.trim().toLowerCase();
    const text = cell.dataset.v ?? cell.textContent;
    return text.trim() === "" ? NaN : Number(text);
  }

  function sort(head) {
    const kind = head.dataset.sort, column = head.cellIndex;
    const first = kind === "higher" ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    const sign = order === "ascending" ? 1 : -1;
    const rows = Array.from(body.rows, row => [key(row.cells[column], kind), row]);
    rows.sort(([a], [b]) => {
      const none = empty(a) - empty(b);  // what has no value comes last, whichever way the rest goes
      return none || (empty(a) ? 0 : a < b ? -sign : a > b ? sign : 0);
    });
    for (const each of heads) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    body.replaceChildren(...rows.map(([, row]) => row));
    table.dispatchEvent(new Event("sorted"));
  }

  const empty = value => Number(value === "" || Number.isNaN(value));
}

function filtered(form) {
  const table = document.getElementById(form.dataset.filters), body = table.tBodies[0], total = Number(table.dataset.rows);
  const [text, printed, count, all] = ["text", "printed", "count", "all"].map(name => form.querySelector(`[data-filter=${name}]`));
  const texts = new Map();
  let most = 250;  // rows at once: a browser takes a second to lay out thousands

  function described(row) {
    if (!texts.has(row)) {
      const cells = [row.cells[1], row.cells[2], row.cells[row.cells.length - 1]];
      texts.set(row, cells.map(cell => cell.textContent).join(" ").toLowerCase());
    }
    return texts.get(row);
  }

  function apply() {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0, fitting = table.dataset.more ? total - body.rows.length : 0;
    for (const row of body.rows) {
      const trivial = row.classList.contains("trivial");
      const fits = (trivial || words.every(word => described(row).includes(word))) && !(printed && !printed.checked && row.classList.contains("printed"));
      const show = fits && (trivial || shown < most);
      if (row.hidden === show) row.hidden = !show;
      fitting += fits;
      shown += show;
    }
    count.textContent = (shown === total ? "" : `${number(shown)} of `) + `${number(total)} rows`;
    all.hidden = shown === fitting;
    all.textContent = `Show all ${number(fitting)}`;
  }

  const number = value => value.toLocaleString("en");
  const failed = () => { count.textContent = `${number(body.rows.length)} of ${number(total)} rows; the files with the others cannot be read, the CSV has them`; };

  const update = () => text.value.trim() || (printed && !printed.checked) ? whole(table, apply, failed) : apply();

  form.addEventListener("input", update);
  table.addEventListener("sorted", apply);
  table.addEventListener("partial", failed);
  all.addEventListener("click", () => {
    most = Infinity;
    whole(table, () => { apply(); table.parentElement.focus(); }, failed);  // the button, which had the focus, is gone
  });
  form.addEventListener("submit", event => event.preventDefault());
  update();
}

function player(form) {
  const count = Number(form.dataset.count);
  const [play, frame, place, before, part] = ["play", "frame", "place", "before", "part"].map(name => form.querySelector(`[data-do=${name}]`));
  const clips = [...document.querySelectorAll(".view")].map(view => {
    const over = view.querySelector(".over"), compared = "compared" in view.dataset;
    const under = new Image(), line = document.createElement("div");
    if (compared) {
      under.src = form.dataset.blurry;
      under.className = "under";
      under.alt = "";
      line.className = "line";
      line.hidden = true;
      view.prepend(under);
      view.append(line);
    }
    return {over, compared, line, image: over.querySelector("img"), data: view.dataset, frames: Number(view.dataset.frames), columns: Number(view.dataset.columns)};
  });

  function show() {
    const now = Number(frame.value) - 1, view = form.elements.view.value, turned = form.elements.direction.value === "reverse";
    place.textContent = `${now + 1} of ${count}`;
    frame.setAttribute("aria-valuetext", `frame ${now + 1} of ${count}`);
    part.textContent = `${before.value} %`;
    for (const clip of clips) {
      // The truth and the blurry input have one direction; of a clip of one frame there is nothing to turn.
      const backwards = turned && clip.compared;
      const kind = view === "error" && backwards && clip.data.turned ? "turned" : clip.data[view] ? view : "pictures";
      const source = clip.data[kind];
      if (clip.image.getAttribute("src") !== source) clip.image.src = source;
      clip.over.classList.toggle("none", clip.compared && view !== "pictures" && kind === "pictures");
      const still = kind === "flow" || clip.frames === 1 || (kind !== "pictures" && "still" in clip.data);
      const index = still ? 0 : backwards && kind === "pictures" ? clip.frames - 1 - now : now;
      const columns = still ? 1 : clip.columns, rows = still ? 1 : Math.ceil(clip.frames / clip.columns);
      clip.image.style.width = `${100 * columns}%`;
      clip.image.style.transform = `translate(${-100 * (index % columns) / columns}%, ${-100 * Math.floor(index / columns) / rows}%)`;
      if (clip.compared) {
        clip.over.style.clipPath = `inset(0 0 0 ${before.value}%)`;
        clip.line.style.left = `${before.value}%`;
        clip.line.hidden = before.value === "0";
      }
    }
  }

  let timer = 0;
  play.addEventListener("click", () => {
    const plays = play.getAttribute("aria-pressed") !== "true";
    play.setAttribute("aria-pressed", String(plays));
    play.textContent = plays ? "Pause" : "Play";
    clearInterval(timer);
    if (plays) timer = setInterval(() => { frame.value = Number(frame.value) % count + 1; show(); }, 160);
  });
  form.addEventListener("input", show);
  form.addEventListener("submit", event => event.preventDefault());
  show();
}

document.querySelectorAll("table[data-sortable]").forEach(sortable);
document.querySelectorAll("form[data-filters]").forEach(filtered);
document.querySelectorAll("form[data-player]").forEach(player);
