(() => {
  "use strict";
  const log = document.getElementById("log"), said = document.getElementById("said"), of = "/api/v1/instances/" + log.dataset.id;
  const most = 1 << 19; // characters; what is older is in the log itself
  const wait = ms => new Promise(done => setTimeout(done, ms));
  let held = 0;
  const add = text => {
    if (!text) return;
    const low = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    log.append(text);
    for (held += text.length; held > most && log.childNodes.length > 1;) { held -= log.firstChild.length; log.firstChild.remove(); }
    if (low) log.scrollTop = log.scrollHeight;
  };
  const tell = text => { if (said.textContent !== text) said.textContent = text; };

  const follow = async () => {
    const answer = await fetch(of + "/logs?follow=true", {cache: "no-store"});
    if (!answer.ok) return tell(answer.status === 401 ? "You are not signed in any more." : "The log cannot be read right now.");
    const reader = answer.body.getReader(), text = new TextDecoder();
    tell("New lines are added as they come.");
    for (;;) {
      const {value, done} = await reader.read();
      if (done) break;
      add(text.decode(value, {stream: true}));
    }
    tell("This is the whole log.");
  };
  // The page is made anew when the instance is another way than it shows.
  const watch = async () => {
    for (;;) {
      await wait(3000);
      try {
        const answer = await fetch(of, {cache: "no-store"});
        if (answer.status === 401 || answer.status === 403 || answer.status === 404) return location.reload();
        if (answer.ok && (await answer.json()).status !== log.dataset.status) return location.reload();
      } catch { /* the network is away: ask again */ }
    }
  };
  follow().catch(() => tell("The connection is lost; load the page again for the rest."));
  watch();
})();
