"use strict";

(() => {
  const STAGES = {
    frames: ["Reading frames", "s"],
    speech: ["Transcribing speech", "s"],
    recall: ["Reading the memory", "windows"],
    captions: ["Captioning", "windows"],
    writing: ["Saving", ""],
  };
  const STATES = {
    uploading: "uploading", queued: "waiting", running: "working", done: "done", failed: "failed",
    cancelled: "cancelled",
  };
  const DATE = {dateStyle: "medium", timeStyle: "short"};
  const BUSY = 700, IDLE = 5000; // milliseconds between two polls: while a job runs, otherwise

  const byId = (id) => document.getElementById(id);
  const list = byId("jobs");
  const cards = new Map(); // job id -> its <li>
  const last = new Map(); // job id -> its state when last seen
  const uploads = []; // {name, file, sent, request, card}
  let about = null, jobs = [], uploading = false, timer = 0;

  // text

  function sizeText(bytes) {
    let unit = 0, value = bytes;
    const units = ["bytes", "KB", "MB", "GB", "TB"];
    for (; value >= 1024 && unit < 4; unit += 1) value /= 1024;
    return `${Number(value.toPrecision(3))} ${units[unit]}`;
  }

  function spanText(seconds) {
    for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
      const count = Math.round((seconds / length) * 10) / 10;
      if (count >= 1) return `${count} ${unit}${count === 1 ? "" : "s"}`;
    }
    return `${Math.round(seconds)} seconds`;
  }

  function clock(seconds) {
    const whole = Math.round(seconds), minutes = Math.floor(whole / 60) % 60, hours = Math.floor(whole / 3600);
    const two = (number) => String(number).padStart(2, "0");
    return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  }

  function progressText({stage, done, total}) {
    const [words, unit] = STAGES[stage] || [stage, ""];
    if (!unit || !total) return words;
    const part = unit === "s" ? `${clock(done)} of ${clock(total)}` : `${done} of ${total} ${unit}`;
    return `${words}: ${part}`;
  }

  function detail(job) {
    const facts = [job.duration ? clock(job.duration) : "", sizeText(job.size)].filter(Boolean);
    if (job.state === "running") return job.progress ? progressText(job.progress) : "Starting";
    if (job.state === "failed") return job.error;
    if (job.state === "done") facts.unshift(`${job.events} event${job.events === 1 ? "" : "s"}`);
    if (job.corrected) facts.splice(1, 0, "corrected");
    if (job.state === "queued") facts.unshift(before(job));
    if (job.removed) facts.push(`kept until ${new Date(job.removed).toLocaleString([], DATE)}`);
    return facts.join(" · ");
  }

  /** How many jobs are ahead of a queued one. */
  function before(job) {
    const count = jobs.filter((one) => one.state === "running" || (one.state === "queued" && one.created < job.created)).length;
    return count ? `${count} job${count === 1 ? "" : "s"} ahead` : "next";
  }

  // server

  async function ask(path, options) {
    const answer = await fetch(path, options);
    if (answer.ok) return answer.status === 204 ? null : answer.json();
    throw new Error(reason(await answer.text(), answer.status));
  }

  function reason(text, status) {
    try {
      const found = JSON.parse(text).detail;
      if (typeof found === "string") return found;
    } catch (error) { /* not json */ }
    return text.trim() || `the server answered with status ${status}`;
  }

  function notice(text) {
    byId("notice").textContent = text;
    byId("notice").hidden = !text;
  }

  /** Say that the server does not answer, until `found` is called. */
  function lost(error) {
    notice(`The server does not answer (${error.message}).`);
    byId("notice").dataset.lost = "yes";
  }

  function found() {
    if (byId("notice").dataset.lost) notice("");
    delete byId("notice").dataset.lost;
  }

  async function act(path, method, said = "") {
    try {
      await ask(path, {method});
      notice("");
      byId("spoken").textContent = said;
    } catch (error) {
      notice(error.message);
    }
    look();
  }

  // cards

  function newCard() {
    return byId("job").content.firstElementChild.cloneNode(true);
  }

  function jobCard(job) {
    const card = newCard(), path = `/api/jobs/${job.id}`, choice = card.querySelector("select");
    card.querySelector(".open").href = `/jobs/${job.id}`;
    card.querySelector(".cancel").onclick = () => act(`${path}/cancel`, "POST");
    card.querySelector(".delete").onclick = () => {
      const what = job.name;
      if (window.confirm(`Delete ${what} with its video and captions?`)) act(path, "DELETE", `${what}: deleted`);
    };
    choice.append(new Option("Download as …", ""), ...about.formats.map((name) => new Option(name)));
    choice.onchange = () => {
      if (choice.value) download(`${path}/result?format=${encodeURIComponent(choice.value)}`);
      choice.value = "";
    };
    return card;
  }

  async function download(path) {
    try {
      const answer = await fetch(path);
      if (!answer.ok) throw new Error(reason(await answer.text(), answer.status));
      const link = document.createElement("a");
      link.href = path; // the server names the file
      link.download = "";
      link.click();
      notice("");
    } catch (error) {
      notice(error.message);
    }
  }

  function fill(card, name, state, words, fraction) {
    card.dataset.state = state;
    set(card.querySelector(".name"), name);
    set(card.querySelector(".state"), STATES[state]);
    set(card.querySelector(".detail"), words);
    const bar = card.querySelector("progress");
    bar.hidden = fraction === undefined;
    bar.setAttribute("aria-label", `${name}: ${words}`);
    for (const one of card.querySelectorAll(".actions > *")) { // many cards have the same buttons
      one.setAttribute("aria-label", `${one.matches("select") ? "Download" : one.textContent} ${name}`);
    }
    if (fraction === null) bar.removeAttribute("value");
    else if (fraction !== undefined) bar.value = fraction;
  }

  function set(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function showJob(job) {
    const card = cards.get(job.id) || jobCard(job);
    cards.set(job.id, card);
    const {progress} = job, running = job.state === "running";
    const fraction = progress && progress.total ? Math.min(progress.done / progress.total, 1) : null;
    fill(card, job.name, job.state, detail(job), running ? fraction : undefined);
    const over = !running && job.state !== "queued";
    card.querySelector(".open").hidden = card.querySelector(".save").hidden = job.state !== "done";
    card.querySelector(".cancel").hidden = over;
    card.querySelector(".delete").hidden = !over;
    const noted = card.querySelector(".warnings");
    noted.hidden = !job.warnings.length;
    if (noted.childElementCount !== job.warnings.length) {
      noted.replaceChildren(...job.warnings.map((line) => {
        const item = document.createElement("li");
        item.textContent = line;
        return item;
      }));
    }
    if (last.has(job.id) && last.get(job.id) !== job.state && over) {
      byId("spoken").textContent = `${job.name}: ${STATES[job.state]}`;
    }
    last.set(job.id, job.state);
    return card;
  }

  function arrange(wanted) {
    for (const card of [...list.children]) if (!wanted.includes(card)) card.remove(); // first, so that none is moved
    wanted.forEach((card, place) => {
      if (list.children[place] !== card) list.insertBefore(card, list.children[place] || null);
    });
    byId("empty").hidden = wanted.length > 0;
  }

  function draw() {
    const focused = document.activeElement, place = [...list.children].findIndex((card) => card.contains(focused));
    arrange([...uploads.map((one) => one.card).reverse(), ...jobs.map(showJob)]);
    if (place >= 0 && !focused.checkVisibility()) refocus(place);
    for (const id of cards.keys()) if (!jobs.some((job) => job.id === id)) cards.delete(id);
  }

  /** Focus a control of the card at a place, or of the one before it: what had the focus is gone. */
  function refocus(place) {
    const card = list.children[Math.min(place, list.children.length - 1)];
    const control = card && [...card.querySelectorAll(".actions > *")].find((one) => !one.hidden);
    (control || byId("files")).focus();
  }

  async function look() {
    clearTimeout(timer);
    try {
      jobs = await ask("/api/jobs?limit=1000");
      draw();
      found();
    } catch (error) {
      lost(error);
    }
    clearTimeout(timer);
    const busy = jobs.some((job) => job.state === "queued" || job.state === "running");
    timer = setTimeout(look, busy && !document.hidden ? BUSY : IDLE);
  }

  // uploads: one after the other

  function add(files) {
    notice("");
    for (const file of files) {
      if (file.size > about.max_size) {
        notice(`${file.name} is larger than ${sizeText(about.max_size)}, the limit of this server.`);
        continue;
      }
      const card = newCard(), one = {file, card, request: new XMLHttpRequest(), stopped: false};
      fill(card, file.name, "uploading", "Waiting to be uploaded", 0);
      card.querySelector(".cancel").hidden = false;
      card.querySelector(".cancel").onclick = () => {
        one.stopped = true;
        one.request.abort();
        forget(one);
      };
      uploads.push(one);
    }
    draw();
    next();
  }

  function forget(one) {
    if (uploads.includes(one)) uploads.splice(uploads.indexOf(one), 1);
    draw();
  }

  function next() {
    const one = uploads.find((candidate) => candidate.card.dataset.state === "uploading");
    if (!one || uploading) return;
    uploading = true;
    send(one).finally(() => {
      uploading = false;
      next();
    });
  }

  function send(one) {
    const {file, card, request} = one;
    return new Promise((resolve) => {
      request.upload.onprogress = (event) => {
        const share = event.total ? event.loaded / event.total : 0;
        fill(card, file.name, "uploading", share < 1 ? `Uploading: ${sizeText(event.loaded)} of ${sizeText(event.total)}`
          : "Checking the video", share < 1 ? share : null);
      };
      const failed = (words) => {
        card.querySelector(".cancel").textContent = "Dismiss";
        fill(card, file.name, "failed", words, undefined);
      };
      request.onload = () => {
        if (request.status === 201) {
          forget(one);
          look();
        } else {
          failed(reason(request.responseText, request.status));
        }
        resolve();
      };
      request.onerror = () => {
        failed("The connection was lost. Choose the file again.");
        resolve();
      };
      request.onabort = resolve;
      request.open("POST", `/api/jobs?name=${encodeURIComponent(file.name)}`);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.send(file);
    });
  }

  function listen() {
    const drop = byId("drop"), input = byId("files");
    input.onchange = () => {
      add(input.files);
      input.value = "";
    };
    window.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    window.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) drop.classList.remove("over");
    });
    window.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      add(event.dataTransfer.files);
    });
    document.addEventListener("visibilitychange", look);
    window.addEventListener("beforeunload", (event) => {
      if (uploads.some((one) => one.card.dataset.state === "uploading")) event.preventDefault();
    });
  }

  async function start() {
    try {
      about = await ask("/api/about");
    } catch (error) {
      lost(error);
      setTimeout(start, IDLE);
      return;
    }
    found();
    byId("limits").textContent = `Up to ${sizeText(about.max_size)} each. Videos and captions stay on the server for `
      + `${spanText(about.keep_seconds)} after a job ends or is corrected; then they are removed.`;
    listen();
    look();
  }

  start();
})();
