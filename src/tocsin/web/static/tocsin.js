// Live updates. Without this file every page still works; it is then as old as its last loading.
"use strict";

const RELOAD_DELAY_MS = 300;

function fillKeyFromAddress() {
  const field = document.getElementById("key");
  if (!field || location.hash.length < 2) return;
  // the part behind # never leaves the browser, so a link may carry the key; it is wiped from the address
  field.value = decodeURIComponent(location.hash.slice(1));
  document.getElementById("by-key").open = true;
  history.replaceState(null, "", location.pathname + location.search);
  document.getElementById("submit").focus();
}

function sayHowLongAgo() {
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
  const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const seconds = (Date.now() - Date.parse(element.dateTime)) / 1000;
    const far = Math.abs(seconds); // a device whose clock is wrong may be ahead of ours, and that shows
    const [unit, size] = units.find(([, length]) => far >= length) || ["minute", 60];
    element.title = element.title || element.textContent;
    element.textContent = far < 60 ? "just now" : format.format(-Math.trunc(seconds / size), unit);
  }
}

function follow() {
  const part = document.querySelector("[data-live]");
  if (!part) return;
  const state = document.getElementById("live-state");
  const announcer = document.getElementById("announcer");
  let waiting = 0;
  let reloaded = -RELOAD_DELAY_MS;

  function show(value, text) {
    state.dataset.state = value;
    state.textContent = text;
    state.hidden = false;
  }

  // What somebody writes in a form is never taken away; the server tells of a collision when it is sent.
  function beingFilled() {
    if (part.querySelector("[role=alert]")) return true;
    return [...part.querySelectorAll("textarea, input:not([type=hidden])")].some(
      (field) => field.value !== field.defaultValue,
    );
  }

  function sayItChanged() {
    announcer.hidden = false;
    announcer.textContent = "This has changed meanwhile. What you write here is kept; load the page anew to see it.";
  }

  async function reload() {
    waiting = 0;
    reloaded = performance.now();
    if (beingFilled()) return;
    const answer = await fetch(part.dataset.live, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (answer.status === 401 || answer.redirected) location.assign("/login");
    if (!answer.ok) return;
    const text = await answer.text();
    if (beingFilled()) return sayItChanged(); // somebody has begun to write while the answer was on its way
    const open = part.querySelector("details")?.open;
    const focused = document.activeElement && part.contains(document.activeElement) && document.activeElement.id;
    part.innerHTML = text; // made and escaped by the server's own template
    if (open) part.querySelector("details").open = true;
    if (focused) document.getElementById(focused)?.focus();
    sayHowLongAgo();
  }

  // At once, but in a flood of changes not more often than that.
  function soon() {
    const rest = Math.max(0, reloaded + RELOAD_DELAY_MS - performance.now());
    waiting = waiting || setTimeout(() => reload().catch(() => show("waiting", "Reconnecting")), rest);
  }

  // Characters that act instead of being seen, as the server names them on its pages.
  function visible(text) {
    const acting =
      /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
    return text.replace(acting, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
  }

  function listen() {
    if (state.hidden) show("waiting", "Connecting"); // without a script nothing connects
    const stream = new EventSource("/v1/stream");
    stream.addEventListener("open", () => {
      show("live", "Live");
      soon(); // what happened while the stream was cut is on the page again
    });
    stream.addEventListener("anomaly", (event) => {
      const { change, anomaly } = JSON.parse(event.data);
      if (part.dataset.anomaly && part.dataset.anomaly !== anomaly.id) return;
      if (beingFilled()) sayItChanged();
      if (!part.dataset.anomaly && ["opened", "reopened", "resumed"].includes(change.kind)) {
        announcer.textContent = visible(`Anomaly on ${anomaly.device}: ${anomaly.explanation}`);
      }
      soon();
    });
    stream.addEventListener("error", () => {
      show("waiting", "Reconnecting");
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
    });
  }

  listen();
  setInterval(() => document.hidden || soon(), 60000); // sentences of what goes on grow
}

fillKeyFromAddress();
sayHowLongAgo();
setInterval(sayHowLongAgo, 30000);
follow();
