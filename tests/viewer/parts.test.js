"use strict";
// The parts of the viewer that need no page.  HICM_SCRIPT is the script of all parts; run by test_viewer_parts.py.
const assert = require("node:assert/strict");
const {test} = require("node:test");
require(process.env.HICM_SCRIPT);

const event = (key, start, end, fields = {}) => ({key, start, end, text: `event ${key}`, score: null, level: null,
                                                  remark: "", ...fields});
const lanes = (...events) => [{name: "captions", kind: "prediction", recalled: [], events}];
const view = (events, fields = {}) => ({id: "video", title: "video", source: "video.mp4", duration: 30, video: null,
  picture: {frame_rate: 25, size: null, sound: false}, made_by: "{}",
  lanes: [{name: "captions", kind: "prediction", events, recalled: []}], ...fields});

test("times are written and read", () => {
  const {clock, exactClock, parse, spoken} = hicm.time;
  assert.deepEqual([7.2, 185, 3725, -4, 59.96, 3599.96].map((one) => clock(one)),
                   ["0:07", "3:05", "1:02:05", "−0:04", "1:00", "1:00:00"]);
  assert.deepEqual([clock(59.996, 2), clock(12.345, 1), clock(0, 3)], ["1:00.00", "0:12.3", "0:00.000"]);
  assert.deepEqual([10, 100.5, 0.04, 3600.25].map(exactClock), ["0:10", "1:40.5", "0:00.04", "1:00:00.25"]);
  assert.deepEqual(["12.5", " 1:02.5 ", "1:02:03", "0:5", "12,25", "90", "90:00"].map(parse),
                   [12.5, 62.5, 3723, 5, 12.25, 90, 5400]);
  for (const wrong of ["", "soon", "1:75", "1:75:00", "-5", "1e3", "1:2:3:4", "NaN", "12 .5"]) {
    assert.ok(Number.isNaN(parse(wrong)), wrong);
  }
  for (let number = 0; number < 500; number++) {
    const seconds = Math.round(Math.random() * 2e7) / 1000;
    assert.equal(parse(exactClock(seconds)), seconds);
  }
  assert.equal(spoken(3661), "1 hour 1 minute 1 second");
  assert.equal(spoken(0), "0 seconds");
});

test("frames are stepped one by one", () => {
  const {nextFrame, toFrame} = hicm.time;
  for (const rate of [25, 29.97, 30000 / 1001, 60, 10]) {
    let time = toFrame(7.3, rate);
    const first = Math.round(time * rate);
    for (let step = 1; step < 200; step++) {
      time = nextFrame(time, 1, rate);
      assert.equal(Math.round(time * rate), first + step);
    }
    for (let step = 198; step >= 0; step--) {
      time = nextFrame(time, -1, rate);
      assert.equal(Math.round(time * rate), first + step);
    }
  }
  assert.equal(nextFrame(25.5, 1, 25), 25.52);
});

test("marks of the ruler are round, few, and within", () => {
  for (const [start, end] of [[0, 100], [0, 0.5], [10.2, 11], [0, 3600], [0, 400000], [3599, 3600]]) {
    const {step, marks} = hicm.time.ticks(start, end, 8);
    assert.ok(marks.length <= 10 && marks.length >= 1, `${start} ${end}: ${marks}`);
    assert.ok(marks.every((mark) => mark >= start - 1e-6 && mark <= end + 1e-6));
    assert.ok(step > 0);
  }
  assert.deepEqual(hicm.time.ticks(0, 100, 8).marks, [0, 15, 30, 45, 60, 75, 90]);
});

test("events that overlap stand in rows of their own, and never more than are needed", () => {
  for (let turn = 0; turn < 200; turn++) {
    const events = Array.from({length: 30}, (_, key) => {
      const start = Math.random() * 50;
      return event(key, start, start + Math.random() * 8);
    });
    const {placed, count} = hicm.layout.stack(events);
    for (const one of placed) {
      for (const other of placed) {
        if (one === other || one.row !== other.row) continue;
        assert.ok(one.event.end <= other.event.start + 1e-6 || other.event.end <= one.event.start + 1e-6);
      }
    }
    const most = Math.max(...events.map((one) => events.filter((other) =>
      other.start <= one.start && one.start < other.end - 1e-6).length));
    assert.equal(count, most);
  }
  const {groups, rows} = hicm.layout.rows([...lanes(event(1, 0, 9, {level: 4}), event(2, 0, 3, {level: 1}),
    event(3, 2, 5, {level: 1})), {name: "none", kind: "speech", events: []}]);
  assert.deepEqual(groups.map(({lane, level, first, count}) => [lane, level, first, count]),
                   [[0, 4, 0, 1], [0, 1, 1, 2], [1, null, 3, 1]]);
  assert.equal(rows, 4);
});

test("the view stays within the video", () => {
  const shown = new hicm.Viewport(100);
  shown.width = 1000;
  for (let turn = 0; turn < 2000; turn++) {
    const around = shown.start + Math.random() * (shown.end - shown.start);
    const x = shown.x(around);
    if (Math.random() < 0.5) {
      const length = shown.end - shown.start;
      shown.zoom(Math.random() * 2 + 0.1, around);
      if (shown.start > 1e-9 && shown.end < 100 - 1e-9 && length < 100) assert.ok(Math.abs(shown.x(around) - x) < 1e-6);
    } else shown.scroll(Math.random() * 60 - 30);
    assert.ok(shown.start >= 0 && shown.end <= 100 + 1e-9 && shown.end - shown.start >= 0.5 - 1e-9);
  }
  shown.show(20, 10);
  assert.ok(!shown.follow(25) && shown.follow(31) && shown.start === 30);
  assert.ok(shown.reveal(5, 95) && shown.start <= 5 && shown.end >= 95);
});

test("steps are taken back and again, and letters in a row are one", () => {
  const history = new hicm.History("a");
  history.replace("b");
  history.replace("bc", "typing");
  history.replace("bcd", "typing");
  history.pause();
  history.replace("bcde", "typing");
  assert.ok(history.undo() && history.now === "bcd");
  assert.ok(history.undo() && history.now === "b");
  assert.ok(history.redo() && history.now === "bcd");
  history.undo();
  history.replace("x", "typing");
  assert.ok(!history.redo() && history.undo() && history.now === "b");
  assert.ok(history.undo() && history.now === "a" && !history.changed && !history.undo());
});

test("whatever is done to events can be taken back, and what was shown before is as it was", () => {
  const {events} = hicm;
  const first = lanes(event(1, 0, 5, {level: 0}), event(2, 5, 9, {level: 0}), event(3, 5, 6, {level: 1}));
  const before = structuredClone(first);
  const history = new hicm.History(first);
  for (let turn = 0; turn < 500; turn++) {
    const all = history.now[0].events;
    const key = all[Math.floor(Math.random() * all.length)]?.key ?? 0;
    const edit = [
      () => events.change(history.now, key, {text: "other"}),
      () => events.change(history.now, key, {start: Math.random() * 4}),
      () => events.add(history.now, 0, {start: 1, end: 2}).lanes,
      () => events.remove(history.now, key),
      () => events.split(history.now, key, Math.random() * 9)?.lanes ?? history.now,
      () => events.merge(history.now, key) ?? history.now,
    ][Math.floor(Math.random() * 6)];
    history.replace(edit());
    const keys = history.now[0].events.map((one) => one.key);
    assert.equal(new Set(keys).size, keys.length);
  }
  while (history.undo());
  assert.deepEqual(history.now, before);
});

test("events are split at a time, and merged with the next of their level", () => {
  const {split, merge, change, find} = hicm.events;
  const first = lanes(event(1, 0, 6, {level: 1, score: 0.5}), event(2, 0, 9, {level: 0}), event(3, 6, 8, {level: 1}));
  const {lanes: two, key} = split(first, 1, 2.5);
  assert.deepEqual([find(two, 1).event.end, find(two, key).event.start, find(two, key).event.end], [2.5, 2.5, 6]);
  const {text, score, level} = find(two, key).event;
  assert.deepEqual([text, score, level], ["event 1", 0.5, 1]);
  assert.equal(split(first, 1, 6), null);
  const one = merge(merge(two, 1), 1);
  const whole = find(one, 1).event;
  assert.deepEqual([whole.start, whole.end, whole.text], [0, 8, "event 1 event 3"]);
  assert.equal(merge(one, 1), null);
  const odd = lanes(event(1, 5, 2, {remark: "ends before it starts"}));
  assert.equal(find(change(odd, 1, {text: "x"}), 1).event.remark, "ends before it starts");
  assert.equal(find(change(odd, 1, {end: 7}), 1).event.remark, "");
});

test("times that make no sense are refused", () => {
  const {fault} = hicm.events;
  assert.equal(fault(0, 30, 30), "");
  for (const [start, end] of [[-1, 2], [5, 5], [5, 4], [0, 31], [NaN, 2], [0, NaN]]) {
    assert.notEqual(fault(start, end, 30), "");
  }
  const session = new hicm.Session(view([event(1, 29, 30.4)]));
  session.player.seek = () => {};
  session.choose(1);
  assert.equal(session.setTimes({start: 28}), "", "an end a little beyond the video is no reason to refuse a start");
  assert.notEqual(session.setTimes({end: 30.5}), "");
});

test("words are found in any case and script, and signs mean themselves", () => {
  const {matches, pieces} = hicm.search;
  assert.deepEqual(matches("Jump, jump", "JUMP"), [[0, 4], [6, 10]]);
  assert.deepEqual(matches("a.b (c) [d] $^*+?{}|/\\-", "(C)"), [[4, 7]]);
  for (const sign of "\\^$.*+?()[]{}|/-=!<>:,#&~%@`'\"") {
    assert.deepEqual(matches(`a${sign}b`, `a${sign}b`), [[0, 3]], sign);
  }
  assert.deepEqual(matches("İstanbul ИВАН 日本語", "иван"), [[9, 13]]);
  assert.deepEqual(matches("x", "  "), []);
  assert.deepEqual(matches("\ud800", "\ud800"), [[0, 1]]);
  const found = pieces("one two one", "one");
  assert.equal(found.map(({text}) => text).join(""), "one two one");
  assert.deepEqual(found.map(({match}) => match), [true, false, true]);
});

/** A store as browsers have it. */
function store(fields = {}) {
  const kept = new Map();
  return {kept, getItem: (key) => kept.get(key) ?? null, setItem: (key, text) => kept.set(key, text),
          removeItem: (key) => kept.delete(key), ...fields};
}

test("edits are kept under the content of the page, and come back", () => {
  const page = view([event(0, 1, 2), event(0, 3, 4, {text: "\ud800 ‮ <b>"})]);
  const kept = store();
  const open = (shown, storage = kept) => {
    const history = new hicm.History(hicm.events.lanesOf(shown));
    return new hicm.Keeper(shown, history, () => storage);
  };
  const one = open(page);
  assert.equal(one.restore(), null);
  one.history.replace(hicm.events.change(one.history.now, 1, {text: "new", end: 2.25}));
  one.now();
  const two = open(page);
  assert.ok(two.restore() && two.history.changed);
  assert.deepEqual(two.history.now, one.history.now);
  assert.equal(open(view([event(0, 1, 2.5)])).restore(), null, "other events, other edits");
  assert.equal(open({...page, id: "other"}).restore(), null);
  two.history.undo();
  two.now();
  assert.equal(kept.kept.size, 0, "what was taken back need not be kept");
  for (const broken of ["", "{", "null", "[]", '{"form": 1, "lanes": [[{"text": 1}]]}', '{"form": 9}']) {
    kept.kept.set(one.key, broken);
    assert.equal(open(page).restore(), null, broken);
  }
});

test("a browser that refuses to keep anything is no reason to stop", () => {
  const refuse = () => {
    throw new Error("QuotaExceededError");
  };
  for (const storage of [() => store({setItem: refuse, getItem: refuse, removeItem: refuse}), refuse, () => null]) {
    const history = new hicm.History(hicm.events.lanesOf(view([event(0, 1, 2)])));
    const keeper = new hicm.Keeper(view([event(0, 1, 2)]), history, storage);
    const said = [];
    keeper.on("kept", (works) => said.push(works));
    assert.equal(keeper.restore(), null);
    history.replace(hicm.events.remove(history.now, 1));
    keeper.now();
    keeper.now();
    assert.deepEqual(said, [false]);
    assert.ok(keeper.atRisk);
  }
});

/** A server with one file, and a page of it with a viewer's state; `others` are the other tabs. */
function served(storage = store(), others = []) {
  const server = {etag: '"1"', events: [event(0, 1, 2), event(0, 3, 4)], up: true, lost: false, asked: 0};
  const original = server.events;
  const shown = (events = server.events) => view(events, {made_by: server.etag, save: {
    address: "/result", view: "/view", etag: server.etag,
    original: server.etag === '"1"' ? null : "/view?version=original"}});
  const answering = () => {
    server.asked++;
    if (!server.up) throw new Error("the server does not answer");
  };
  server.open = () => {
    const heard = [];
    globalThis.hicm.requests = {
      get: async (address) => {
        answering();
        return shown(address.endsWith("original") ? original : server.events);
      },
      put: async (address, body, etag) => {
        answering();
        if (etag !== server.etag) return {status: 412, etag: null, detail: "somebody else"};
        if (server.refuses) return {status: 422, etag: null, detail: server.refuses};
        server.events = JSON.parse(body).events.map(({sentence, ...others}) => ({...others, text: sentence}));
        server.etag = `"${Number(server.etag.slice(1, -1)) + 1}"`;
        if (server.lost) throw new Error("the server does not answer");
        return {status: 200, etag: server.etag, detail: ""};
      },
      tell: (message) => others.filter((one) => one !== heard).forEach((one) => one.forEach((hear) => hear(message))),
      hear: (listener) => heard.push(listener),
    };
    others.push(heard);
    const session = new hicm.Session(shown());
    const keeper = new hicm.Keeper(session.view, session.history, () => storage);
    keeper.restore();
    const saver = new hicm.Saver(session, keeper, globalThis.hicm.requests);
    delete globalThis.hicm.requests;
    const write = (text, key = session.lanes[0].events[0].key) => {
      session.apply(hicm.events.change(session.lanes, key, {text}));
      keeper.now();
    };
    return {session, keeper, saver, write, said: () => hicm.parts.stateOf(session, saver)};
  };
  return server;
}

const texts = ({session}) => session.lanes[0].events.map(({text}) => text);

test("what is saved is what later edits differ from, and undo goes on", async () => {
  const kept = store(), server = served(kept), one = server.open();
  assert.ok(one.session.saves);
  await one.saver.save();
  assert.equal(server.asked, 0, "there is nothing to save");
  one.write("new");
  assert.equal(kept.kept.size, 1);
  await one.saver.save();
  assert.deepEqual([server.events[0].text, server.etag, one.said(), kept.kept.size], ["new", '"2"', "Saved", 0]);
  assert.equal(one.session.view.made_by, '"2"', "exports say that it was corrected");
  assert.ok(!one.session.history.changed && !server.open().session.history.changed);
  one.session.undo();
  one.keeper.now();
  assert.deepEqual([texts(one)[0], one.said(), one.session.history.changed], ["event 0", "", true]);
  assert.equal(texts(server.open())[0], "event 0", "what was undone is kept too");
  one.session.redo();
  assert.ok(!one.session.history.changed);
  one.session.undo();
  await one.saver.save();
  assert.equal(server.events[0].text, "event 0");
});

test("the original captions come back as an edit", async () => {
  const kept = store(), server = served(kept), one = server.open(), said = [];
  one.session.on("message", (text) => said.push(text));
  assert.equal(one.session.view.save.original, null, "there is nothing to go back to");
  one.write("new");
  await one.saver.save();
  assert.equal(one.session.view.save.original, "/view?version=original");
  one.write("newer");
  server.up = false;
  await one.saver.showOriginal();
  assert.deepEqual([texts(one)[0], one.saver.problem], ["newer", "the server does not answer"]);
  server.up = true;
  await one.saver.showOriginal();
  one.keeper.now();
  assert.deepEqual([texts(one)[0], server.events[0].text, one.session.history.changed], ["event 0", "new", true]);
  assert.match(said.at(-1), /^The original captions are shown; /);
  assert.equal(new Set(one.session.history.past.concat([one.session.lanes]).flatMap((lanes) =>
    lanes[0].events.map(({key}) => key))).size, 4, "they have keys of their own");
  await one.saver.showOriginal();
  assert.match(said.at(-1), /already/);
  assert.equal(texts(server.open())[0], "event 0", "kept like any edit");
  one.session.undo();
  assert.equal(texts(one)[0], "newer");
  one.session.redo();
  await one.saver.save();
  assert.deepEqual([server.events[0].text, one.said()], ["event 0", "Saved"]);
});

test("keys are found among any number of events", () => {
  assert.equal(hicm.events.lastKey([...lanes(event(1, 0, 1)), {name: "many", kind: "speech",
    events: Array.from({length: 300_000}, (_, key) => ({key}))}]), 299_999);
  assert.equal(hicm.events.lastKey([]), 0);
});

test("edits made while it is saved are not saved", async () => {
  const server = served(), one = server.open();
  one.write("first");
  const saving = one.saver.save();
  assert.equal(one.said(), "Saving …");
  one.write("second");
  await one.saver.save();
  await saving;
  assert.deepEqual([server.events[0].text, one.said(), one.session.history.changed, server.asked],
                   ["first", "", true, 2]);
  await one.saver.save();
  assert.deepEqual([server.events[0].text, one.said()], ["second", "Saved"]);
});

test("a server that does not answer or refuses loses nothing", async () => {
  const server = served(), one = server.open();
  one.write("new");
  server.up = false;
  await one.saver.save();
  assert.equal(one.said(), "Not saved: the server does not answer. Your edits stay in this browser.");
  assert.equal(texts(server.open())[0], "new");
  server.up = true;
  server.refuses = "event 1: ends at 9 s";
  await one.saver.save();
  assert.match(one.said(), /^Not saved: event 1: ends at 9 s/);
  one.write("newer");
  assert.equal(one.said(), "", "until the next edit");
  delete server.refuses;
  server.lost = true;
  await one.saver.save();
  assert.match(one.said(), /^Not saved: the server does not answer/);
  server.lost = false;
  assert.ok(!server.open().session.history.changed, "it was saved after all");
  await one.saver.save();
  assert.deepEqual([one.said(), server.etag], ["Saved", '"2"'], "nobody else has saved that");
  const faulty = server.open();
  faulty.write("x");
  faulty.session.on("settle", (faults) => faults.push("The end must come after the start."));
  await faulty.saver.save();
  assert.match(faulty.said(), /^Not saved: The end must/);
});

test("what somebody else has saved is replaced only if asked", async () => {
  for (const choice of ["load", "overwrite"]) {
    const server = served(), one = server.open();
    one.session.choose(one.session.lanes[0].events[1].key);
    one.write("mine");
    server.events = [event(0, 5, 6, {text: "theirs"})];
    server.etag = '"7"';
    for (let turn = 0; turn < 2; turn++) await one.saver.save();
    assert.ok(one.saver.overtaken);
    assert.equal(one.said(), "Somebody else or another tab has saved since. Yours are not saved.");
    assert.equal(server.etag, '"7"');
    await one.saver[choice]();
    assert.ok(!one.saver.overtaken && !one.session.history.changed);
    if (choice === "overwrite") {
      assert.deepEqual([server.events[0].text, server.events.length, server.etag], ["mine", 2, '"8"']);
      continue;
    }
    assert.deepEqual([texts(one), one.session.found, server.etag], [["theirs"], null, '"7"']);
    one.session.undo();
    assert.deepEqual(texts(one), ["mine", "event 0"], "the own ones come back");
    await one.saver.save();
    assert.deepEqual([server.events.length, server.etag], [2, '"8"']);
  }
});

test("edits of an earlier state are not saved over a later one after a reload", async () => {
  const server = served(), one = server.open();
  one.write("mine");
  server.events = [event(0, 5, 6, {text: "theirs"})];
  server.etag = '"7"';
  const again = server.open();
  assert.deepEqual([texts(again)[0], again.saver.overtaken], ["mine", true]);
  await again.saver.save();
  assert.deepEqual([server.etag, again.saver.overtaken], ['"7"', true]);
  await again.saver.load();
  assert.deepEqual([texts(again), texts(server.open())], [["theirs"], ["theirs"]]);
});

test("other tabs are told of a save", async () => {
  const server = served(), one = server.open(), other = server.open();
  one.write("new");
  await one.saver.save();
  assert.equal(other.said(), "Somebody else or another tab has saved since.");
  assert.ok(!one.saver.overtaken);
  await other.saver.load();
  assert.deepEqual([texts(other)[0], other.said()], ["new", ""]);
});

test("edits that were kept before pages could save are found", () => {
  const kept = store(), plain = view([event(0, 1, 2), event(0, 3, 4)]);
  const history = new hicm.History(hicm.events.lanesOf(plain));
  history.replace(hicm.events.change(history.now, 1, {text: "old edit"}));
  new hicm.Keeper(plain, history, () => kept).now();
  const server = served(kept);
  assert.equal(texts(server.open())[0], "old edit");
  assert.deepEqual([...kept.kept.keys()], ["hicm /result"]);
});

test("links say which view and when", () => {
  const {fragment, asked} = hicm.parts.link;
  assert.equal(fragment(12.5, 1, 1), "#t=12.5");
  assert.equal(fragment(12.34567, 2, 3), "#view=2&t=12.346");
  for (const [time, number] of [[0, 1], [3599.999, 4]]) {
    assert.deepEqual(asked(fragment(time, number, 9)), {view: number, time});
  }
  assert.deepEqual(asked("#t=1:02"), {view: 1, time: 62});
  assert.deepEqual(asked("#view=x&t=soon"), {view: 1, time: null});
  assert.equal(asked("#v3"), null);
});

test("boundaries are drawn to others and to the playhead, or else to frames", () => {
  const session = new hicm.Session(view([event(0, 1, 2), event(0, 10, 12)]));
  session.viewport.width = 1000;
  const {snapped} = hicm.gestures;
  assert.equal(snapped(session, 1, 10.1, false), 10);
  assert.equal(snapped(session, 1, 10.1, true), 10.12, "not with Alt");
  assert.equal(snapped(session, 2, 10.1, false), 10.12, "not to itself");
  assert.equal(snapped(session, 1, 5.013, false), 5);
  session.frameRate = null;
  assert.equal(snapped(session, 1, 5.0131234, false), 5.013123);
});

test("lanes have colours: predictions take turns", () => {
  const kinds = ["prediction", "reference", "prediction", "speech", ...Array(5).fill("prediction")]
    .map((kind) => ({kind}));
  assert.deepEqual(kinds.map((_, lane) => hicm.colours.name(kinds, lane)),
                   ["0", "reference", "1", "speech", "2", "3", "4", "5", "0"]);
});
