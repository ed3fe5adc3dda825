"use strict";
// The pages work without this: it keeps the first one up to date, and shows times as the reader's clock has them.
(() => {
  const state = document.getElementById("state");
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const size = (bytes) => {
    let unit = 0;
    while (bytes >= 1024 && unit < units.length - 1) { bytes /= 1024; unit += 1; }
    return `${unit ? bytes.toFixed(1) : bytes} ${units[unit]}`;
  };
  const localize = (root) => {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const moment = new Date(time.dateTime);
      if (Number.isNaN(moment.getTime())) continue;
      time.title = time.textContent;
      time.textContent = moment.toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" });
    }
  };
  localize(document);
  const live = () => document.querySelectorAll("[data-live]");
  if (!live().length || !window.EventSource) return;

  let busy = false;
  let again = false;
  const reload = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (answer.redirected) { location.assign(answer.url); return; }
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      localize(fresh);
      for (const old of live()) {
        const next = fresh.getElementById(old.id);
        // Not under the hands of who just uses it.
        if (!next || old.contains(document.activeElement)) continue;
        const at = [...old.querySelectorAll(".wide")].map((wide) => wide.scrollLeft);
        old.replaceWith(next);
        next.querySelectorAll(".wide").forEach((wide, number) => { wide.scrollLeft = at[number] || 0; });
      }
    } catch {
      // The stream says when the server is away.
    } finally {
      busy = false;
      if (again) { again = false; setTimeout(reload, 1000); }
    }
  };
  const progress = (rows) => {
    for (const [id, received, total] of rows) {
      const row = document.getElementById(`t${id}`);
      if (!row) continue;
      const bar = row.querySelector("progress");
      if (total) { bar.max = total; bar.value = received; }
      row.querySelector(".bytes").textContent = total ? `${size(received)} of ${size(total)}` : size(received);
    }
  };
  let source = null;
  const say = (text) => { if (state.textContent !== text) state.textContent = text; };
  const open = () => {
    source = new EventSource("/events");
    source.addEventListener("open", () => { say("live"); reload(); });
    source.addEventListener("error", () => say("not connected"));
    source.addEventListener("progress", (event) => progress(JSON.parse(event.data)));
    source.addEventListener("changed", reload);
  };
  // A page that nobody sees takes no connection.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && source) { source.close(); source = null; }
    else if (!document.hidden && !source) open();
  });
  if (!document.hidden) open();
})();
