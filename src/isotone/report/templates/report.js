"use strict";
// Shows the maps and lets the page's own controls choose what they show. All values come ready from Python.
(() => {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const controls = document.getElementById("controls");
  const sources = [];

  function chosen(name, fallback) {
    const input = controls.querySelector(`input[name="${name}"]:checked`);
    return input ? input.value : fallback;
  }

  function show() {
    const colour = chosen("colour", "target0");
    const projection = chosen("projection", "pca");
    const rows = chosen("rows", "all");
    for (const source of sources) {
      const columns = source.data;
      const hidden = Array.from(columns.split, (side) => rows !== "all" && side !== rows);
      const place = (values) => Array.from(values, (value, i) => (hidden[i] ? NaN : value));
      source.data = {
        ...columns,
        x: place(columns[`${projection}_x`]),
        y: place(columns[`${projection}_y`]),
        color: columns[`color_${colour}`],
        marker: columns[`marker_${colour}`] || Array(hidden.length).fill("circle"),
      };
    }
    for (const key of document.querySelectorAll(".key")) key.hidden = key.dataset.key !== colour;
  }

  async function start() {
    for (const item of data.items) {
      await Bokeh.embed.embed_item(item);
      const document_ = Bokeh.documents[Bokeh.documents.length - 1];
      const source = document_.get_model_by_name(`points-${item.target_id}`);
      if (data.thumbs.length > 0) source.data = { ...source.data, thumb: Array.from(source.data.tile, (i) => data.thumbs[i]) };
      sources.push(source);
    }
    controls.addEventListener("change", show);
    controls.addEventListener("submit", (event) => event.preventDefault());
    show();
    document.body.dataset.maps = "ready";
  }

  function copied(button) {
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", async () => {
      const code = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(code.textContent);
        copied(button);
      } catch {
        getSelection().selectAllChildren(code); // no clipboard for this page: leave it selected, ready for Ctrl-C
      }
    });
  }
  start();
})();
