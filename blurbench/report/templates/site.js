// The one script of the site: tables that sort and filter, and the player of sample pages. It asks for nothing from anywhere.
"use strict";

function sortable(table) {
  const heads = table.tHead.rows[0].cells, body = table.tBodies[0];
  for (const head of heads) {
    if (!head.dataset.sort) continue;
    const button = document.createElement("button");
    const small = head.querySelector("small");
    button.type = "button";
    button.append(...[...head.childNodes].filter(node => node !== small));
    head.prepend(button);
    button.addEventListener("click", () => sort(head));
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
  const table = document.getElementById(form.dataset.filters), body = table.tBodies[0];
  const described = row => [row.cells[1], row.cells[2], row.cells[row.cells.length - 1]].map(cell => cell.textContent).join(" ").toLowerCase();
  const texts = new Map(Array.from(body.rows, row => [row, described(row)]));
  const [text, printed, count, all] = ["text", "printed", "count", "all"].map(name => form.querySelector(`[data-filter=${name}]`));
  let most = 250;  // rows at once: a browser takes a second to lay out thousands

  function apply() {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0, fitting = 0;
    for (const row of body.rows) {
      const trivial = row.classList.contains("trivial");
      const fits = (trivial || words.every(word => texts.get(row).includes(word))) && !(printed && !printed.checked && row.classList.contains("printed"));
      const show = fits && (trivial || shown < most);
      if (row.hidden === show) row.hidden = !show;
      fitting += fits;
      shown += show;
    }
    count.textContent = shown === texts.size ? `${shown} rows` : `${shown} of ${texts.size} rows`;
    all.hidden = shown === fitting;
  }

  form.addEventListener("input", apply);
  table.addEventListener("sorted", apply);
  all.addEventListener("click", () => { most = Infinity; apply(); });
  form.addEventListener("submit", event => event.preventDefault());
  apply();
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
