
(() => {
  "use strict";
  const body = document.body, find = id => document.getElementById(id);
  let state = JSON.parse(body.dataset.state), at = Date.now(), events, asked = 0, leaving = false;
  const seconds = ms => { const n = Math.ceil(ms / 1000); return n < 120 ? n + " s" : Math.floor(n / 60) + " min " + n % 60 + " s"; };
  const put = (id, text) => { const e = find(id); if (e.textContent !== text) e.textContent = text; };
  const load = () => { if (!leaving) { leaving = true; if (events) events.close(); location.reload(); } };

  const tick = () => {
    const since = Date.now() - at, elapsed = state.stage ? (state.elapsed_ms || 0) + since : 0, typical = state.typical_ms || 0;
    let time = elapsed ? seconds(elapsed) + " so far" : "";
    if (typical) time += (time ? state.queue ? "; after the queue it" : "; it" : "It") + " usually takes about " + seconds(typical);
    put("time", time && time + ".");
    const bar = find("bar");
    if (state.percent !== undefined) bar.value = state.percent;
    else if (typical && elapsed && !state.queue) bar.value = Math.min(95, 100 * elapsed / typical);
    else bar.removeAttribute("value");
    const left = (state.retry_ms || 0) - since;
    put("retry", left > 0 ? "It can be tried again in " + seconds(left) + "." : "It can be tried again now.");
  };

  const show = next => {
    state = next; at = Date.now();
    put("message", state.message);
    put("text", state.text || "");
    put("reason", state.reason ? state.reason.text : "");
    document.title = state.reason ? body.dataset.failed : body.dataset.starting;
    find("starting").hidden = !!state.reason;
    find("failed").hidden = !state.reason;
    const stages = [...document.querySelectorAll("li")], now = stages.findIndex(li => li.dataset.stage === state.stage);
    stages.forEach((li, i) => {
      li.classList.toggle("done", i < now);
      if (i === now) { li.setAttribute("aria-current", "step"); li.hidden = false; } else li.removeAttribute("aria-current");
    });
    tick();
  };

  const poll = () => setTimeout(async () => {
    try {
      const answer = await fetch(body.dataset.status, {cache: "no-store"});
      if (!answer.ok) return load();
      const next = await answer.json();
      if (next.status === "DEPLOYED" || next.status === "UNKNOWN") return load();
      show(next);
      // To ask wakes nobody; to load the page again does.
      if (++asked % 10 === 0 && next.status === "SUSPENDED" && !next.stage) return load();
    } catch { /* the network is away: ask again */ }
    poll();
  }, 2000 + 1000 * Math.random());

  if (window.EventSource) {
    events = new EventSource(body.dataset.wait);
    events.addEventListener("state", e => show(JSON.parse(e.data)));
    events.addEventListener("load", load);
    events.addEventListener("error", () => { if (events.readyState === EventSource.CLOSED && !leaving) poll(); });
  } else poll();
  find("again").addEventListener("click", e => { e.preventDefault(); load(); });
  addEventListener("pageshow", e => { if (e.persisted) { leaving = false; load(); } });
  setInterval(tick, 1000);
})();
