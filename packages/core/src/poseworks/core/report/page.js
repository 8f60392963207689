// Page: reads the data, builds stages and curves, and joins them to the controls.

const $ = (id) => document.getElementById(id);
const ICONS = {
  play: "M3 1.5v13l11-6.5z", pause: "M3 2h4v12H3zM9 2h4v12H9z",
  back: "M4 2h2v12H4zM14 2v12L6.5 8z", forward: "M10 2h2v12h-2zM2 2v12l7.5-6z",
  reset: "M8 2.2a5.8 5.8 0 1 1-5.6 4.3l1.6.4A4.1 4.1 0 1 0 8 3.9V6.6L3.9 3.3 8 0z",
};

function setIcon(button, name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  button.replaceChildren(svg);
}

function say(text) {
  const message = $("message");
  message.textContent = message.textContent ? `${message.textContent} ${text}` : text;
  message.hidden = false;
}

/** The video element, its metadata read; null, with a word on the page, where the browser cannot play it. */
async function openVideo(facts) {
  if (!facts) return null;
  const video = document.createElement("video");
  Object.assign(video, { muted: true, playsInline: true, preload: "auto" });
  video.setAttribute("aria-label", "Video");
  video.src = facts.href ?? URL.createObjectURL(new Blob([takeBytes(facts.key)], { type: facts.mime }));
  const ready = await new Promise((resolve) => {
    video.addEventListener("loadeddata", () => resolve(true));
    video.addEventListener("error", () => resolve(false));
  });
  if (facts.href) say(`The video (${facts.name}, ${Math.round(facts.bytes / 1e6)} MB) is too large to embed; it is linked.`);
  if (ready && video.videoWidth) return video;
  say(`This browser cannot play the video ${facts.name}: the skeletons are on a plain ground.`);
  return null;
}

/** What does not fit between video and poses, in words. */
function compareVideo(video, track) {
  const lasting = Math.abs(video.duration - track.duration);
  if (lasting > 2.5 / track.fps) {
    say(`The video lasts ${video.duration.toFixed(2)} s, the poses ${track.duration.toFixed(2)} s at ` +
      `${Number(track.fps.toFixed(3))} fps: if the skeleton drifts, that rate is not the video's.`);
  }
  const [width, height] = track.imageSize ?? [video.videoWidth, video.videoHeight];
  if (width !== video.videoWidth || height !== video.videoHeight) {
    say(`The poses were found in ${width} × ${height} pixels, the video has ` +
      `${video.videoWidth} × ${video.videoHeight}: drawn to scale.`);
  }
}

function writeFacts(tracks) {
  const labels = new Map(); // of the tracks that have these facts
  for (const track of tracks) {
    const people = track.P === 1 ? "1 person" : `${track.P} people`;
    const where = `${track.D}D ${track.unit}, ${track.frame} frame`;
    const frames = track.T === 1 ? "1 frame" : `${track.T.toLocaleString("en")} frames`;
    const text = `${people}, ${frames} at ${Number(track.fps.toFixed(2))} fps, ${track.skeleton} (${track.J} joints), ${where}`;
    labels.set(text, [...(labels.get(text) ?? []), track.label]);
  }
  $("facts").textContent = [...labels].map(([text, of]) => (labels.size > 1 ? `${of.join(", ")}: ${text}` : text)).join("  ·  ");
  const rounded = tracks.filter((track) => track.rounded);
  const rounding = rounded.length === 0 ? "exactly (float32)" : "rounded to 16 bits: " +
    rounded.map((track) => `${track.label} to ${track.rounded}`).join(", ");
  $("embedded").textContent = `Embedded: every frame of every track, ${rounding}; confidence in 8 bits. ` +
    "Curves are drawn from all frames; where several share a pixel column, from their lowest to their highest value.";
}

function addToggles(tracks, redraw) {
  for (const track of tracks) {
    const chip = document.createElement("label");
    chip.className = "chip";
    const box = document.createElement("input");
    Object.assign(box, { type: "checkbox", checked: true, name: `track-${track.number}` });
    box.addEventListener("change", () => {
      track.shown = box.checked;
      redraw();
    });
    const text = document.createElement("span");
    text.textContent = track.label;
    chip.append(box, swatch(track), text);
    $("toggles").append(chip);
    const entry = document.createElement("span");
    entry.dataset.group = track.group;
    entry.append(swatch(track), track.label);
    $("legend").append(entry);
  }
}

function swatch(track) {
  const line = document.createElement("span");
  line.className = track.bold ? "swatch bold" : "swatch";
  line.style.color = `var(--${track.colour})`;
  return line;
}

/** Strips over the slider: where each track has the chosen person. */
function drawCoverage(state) {
  $("coverage").replaceChildren(...state.tracks.filter((track) => state.person < track.P && track.T).map((track) => {
    const canvas = document.createElement("canvas");
    const seen = track.seen(state.person);
    canvas.width = Math.min(track.T, 1200);
    canvas.height = 1;
    const pen = canvas.getContext("2d");
    pen.fillStyle = colourOf(track, false);
    for (let x = 0; x < canvas.width; x++) {
      const [from, to] = [Math.floor((x * track.T) / canvas.width), Math.ceil(((x + 1) * track.T) / canvas.width)];
      pen.globalAlpha = seen.subarray(from, to).reduce((sum, each) => sum + each, 0) / (to - from);
      pen.fillRect(x, 0, 1, 1);
    }
    return canvas;
  }));
}

function writeTarget(state) {
  const { clock } = state;
  const slider = $("slider");
  slider.value = String(clock.target);
  const seconds = timeText(clock.track.times[clock.target] ?? 0, 0.01, clock.track.duration);
  const count = clock.track.T;
  const frame = document.createElement("b");
  frame.textContent = String(count ? clock.target + 1 : 0);
  $("readout").replaceChildren("Frame ", frame, ` of ${count.toLocaleString("en")} · ${seconds}`);
  slider.setAttribute("aria-valuetext", `frame ${clock.target + 1} of ${count}, ${seconds}`);
}

function addTransport(state, stages) {
  const { clock } = state;
  for (const name of ["play", "back", "forward"]) setIcon($(name), name);
  $("play").addEventListener("click", () => clock.toggle());
  $("back").addEventListener("click", () => clock.step(-1));
  $("forward").addEventListener("click", () => clock.step(1));
  $("slider").max = String(clock.last);
  $("slider").addEventListener("input", () => {
    clock.pause();
    clock.seek(Number($("slider").value));
  });
  $("speed").addEventListener("change", () => clock.setRate(Number($("speed").value)));
  $("loop").addEventListener("change", () => (clock.loop = $("loop").checked));
  $("follow").addEventListener("change", () => {
    state.follow = $("follow").checked;
    arrange(stages);
  });
  $("sides").checked = state.sides;
  $("sides-field").hidden = stages.every((stage) => !(stage instanceof SpaceStage) || stage.groups.every((tracks) => tracks.length < 2 && !tracks[0].mesh));
  $("sides").addEventListener("change", () => {
    state.sides = $("sides").checked;
    stages.forEach((stage) => stage.draw());
  });
  addTrails(state, stages);
  clock.addEventListener("state", () => {
    setIcon($("play"), clock.playing ? "pause" : "play");
    $("play").setAttribute("aria-label", clock.playing ? "Pause" : "Play");
  });
}

/** Which joints leave a trail, and how long: what these skeletons have, and what does not stand still by definition. */
function addTrails(state, stages) {
  for (const [value, { label, joints }] of Object.entries(TRAILS)) {
    const moves = (track) => track.frame !== "root" || value !== "pelvis";
    const there = (track) => !joints || (moves(track) && joints.some((name) => track.joints.includes(name)));
    if (state.tracks.some(there)) $("trail").append(new Option(label, value));
  }
  $("trail").value = state.trail;
  $("reach").value = String(state.reach);
  const refresh = () => {
    [state.trail, state.reach] = [$("trail").value, Number($("reach").value)];
    $("reach").hidden = !state.trail;
    stages.forEach((stage) => stage.draw());
  };
  $("trail").addEventListener("change", refresh);
  $("reach").addEventListener("change", refresh);
}

/** Side by side where there is room for both, as high as the video needs; else one under the other. */
function arrange(stages) {
  const holder = $("stages");
  const [image, space] = [ImageStage, SpaceStage].map((kind) => stages.find((stage) => stage instanceof kind));
  const width = holder.clientWidth;
  const beside = Boolean(image && space) && width >= (image.view.aspect > 2 ? 900 : 720);
  holder.classList.toggle("beside", beside);
  image?.size(beside);
  holder.style.gridTemplateColumns = "";
  holder.style.height = "";
  if (beside) {
    const screen = window.innerHeight;
    const share = Math.min(Math.max(image.aspect / (image.aspect + 1.05), 0.36), 0.62);
    const wanted = (width * share) / image.aspect;
    holder.style.gridTemplateColumns = `minmax(0, ${share}fr) minmax(0, ${1 - share}fr)`;
    holder.style.height = `${Math.round(Math.min(Math.max(wanted, Math.min(0.42 * screen, 460), 300), Math.max(0.66 * screen, 300)))}px`;
  }
  stages.forEach((stage) => stage.draw());
}

function addKeys(clock, space) {
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || /^(select|textarea|summary)$/i.test(event.target.tagName)) return;
    const isButton = /^button$/i.test(event.target.tagName) || event.target.type === "checkbox";
    const steps = { ArrowLeft: -1, ArrowRight: 1 };
    if (event.key === " " && !isButton) clock.toggle();
    else if (event.key in steps) clock.step(steps[event.key] * (event.shiftKey ? 10 : 1));
    else if (event.key === "Home") clock.seek(0);
    else if (event.key === "End") clock.seek(clock.last);
    else if (!space?.press(event.key)) return;
    event.preventDefault();
  });
}

/** "2 · 5.2–6.8 s": a person's number, and from when to when there is anything of them. */
function nameAndTime(track, person) {
  const span = track.span(person);
  if (!span) return `${track.personName(person)} · never seen`;
  const [from, to] = span.map((frame) => timeText(track.times[frame], 0.1, track.duration));
  return `${track.personName(person)} · ${from.replace(/ s$/, "")}–${to}`;
}

/** Fills the lists of people, joints and spaces, and keeps them in step with what is chosen. */
function addChoices(state, stages, curves) {
  const refresh = () => {
    const track = state.tracks.find((each) => each.group === state.group);
    $("source").value = state.group;
    $("curves-title").textContent = state.joint.replaceAll("_", " ") || "Curves";
    $("joint").replaceChildren(...track.joints.map((name) => new Option(name.replaceAll("_", " "), name)));
    $("joint").value = state.joint;
    $("person").value = String(state.person);
    for (const entry of $("legend").children) entry.hidden = entry.dataset.group !== state.group;
    drawCoverage(state);
    curves.choose();
    stages.find((stage) => stage instanceof SpaceStage)?.show(state.group);
    stages.forEach((stage) => stage.draw());
  };
  state.choose = (person, joint, group = state.group) => {
    state.group = group;
    const track = state.tracks.find((each) => each.group === state.group);
    Object.assign(state, { person, joint: track.joints.includes(joint) ? joint : (track.joints[0] ?? "") });
    refresh();
  };
  const widest = state.tracks.reduce((best, track) => (track.P > best.P ? track : best));
  for (let p = 0; p < widest.P; p++) $("person").append(new Option(nameAndTime(widest, p), String(p)));
  $("person-field").hidden = widest.P < 2;
  const groups = [...new Set(state.tracks.map((track) => track.group))];
  $("source").append(...groups.map((group) => new Option(group === "body" ? "body" : `${group}D`, group)));
  $("source-field").hidden = groups.length < 2;
  $("joint").addEventListener("change", () => state.choose(state.person, $("joint").value));
  $("person").addEventListener("change", () => {
    state.choose(Number($("person").value), state.joint);
    const track = state.tracks.find((each) => each.bold && state.person < each.P) ?? widest;
    const span = track.span(state.person);
    if (span && track === state.clock.track && !track.seen(state.person)[state.clock.target]) {
      state.clock.pause();
      state.clock.seek(span[0]);
    }
  });
  $("source").addEventListener("change", () => state.choose(state.person, state.joint, $("source").value));
  $("span").addEventListener("change", () => {
    state.span = Number($("span").value);
    curves.draw(true);
  });
}

/** A joint worth looking at first: one that moves and jitters. */
function firstJoint(track) {
  const liked = ["right_ankle", "left_ankle", "right_wrist", "left_wrist"];
  return liked.find((name) => track.joints.includes(name)) ?? track.joints[0] ?? "";
}

async function start() {
  const facts = JSON.parse($("data").textContent);
  const tracks = facts.tracks.map((each, number) => new Track(each, number));
  const mesh = facts.mesh && new Mesh(facts.mesh);
  tracks.push(...facts.bodies.map((each, number) => new BodyTrack(each, tracks.length + number, mesh)));
  const leader = tracks.reduce((best, track) => (track.T > best.T ? track : best));
  const [flat, solid, bodies] = ["2", "3", "body"].map((group) => tracks.filter((track) => track.group === group));
  const seen = bodies.filter((track) => track.camera);
  const overlay = flat.some((track) => track.overlay);
  const video = overlay || !flat.length ? await openVideo(facts.video) : null;
  if (facts.video && flat.length && !overlay) say("The poses are not in pixels of an image: the video is not shown under them.");
  const clock = new Clock(leader, video);
  const spaces = [solid, bodies].filter((group) => group.length);
  const state = {
    clock, tracks, group: tracks[0].group, person: 0, joint: firstJoint(tracks[0]), span: 0,
    people: Math.max(...tracks.map((track) => track.P)), follow: false, trail: spaces.length ? "limbs" : "joint",
    reach: spaces.length ? 1 : 0.5, sides: spaces.at(-1)?.length === 1, body: "skin", over: true,
  };
  const stages = [];
  if (flat.length || video) stages.push(new ImageStage(flat, flat.length && !overlay ? [] : seen, state, video));
  if (spaces.length) stages.push(new SpaceStage(spaces, state));
  $("stages").append(...stages.map((stage) => stage.box));
  $("space-keys").hidden = !spaces.length;
  document.body.classList.toggle("tall", stages.length === 1 && stages[0].view.aspect < 1.15);
  document.body.classList.toggle("both", stages.length === 2);
  arrange(stages);
  new ResizeObserver(() => arrange(stages)).observe($("stages"));
  window.addEventListener("resize", () => arrange(stages));
  const timelines = addTimelines(facts.timelines, state, $("timelines"));
  const curves = new Curves(state, $("plots"));
  const redraw = () => {
    stages.forEach((stage) => stage.draw());
    curves.draw(true);
  };
  writeFacts(tracks);
  addToggles(tracks, redraw);
  addTransport(state, stages);
  addKeys(clock, stages.find((stage) => stage instanceof SpaceStage));
  addChoices(state, stages, curves);
  addBodyControls(state, stages);
  if (video) {
    compareVideo(video, tracks.find((track) => track.overlay) ?? leader);
    video.addEventListener("error", () => {
      video.hidden = true;
      say("The video stopped playing; the skeletons go on without it.");
      clock.dropVideo();
    });
  }
  if (!leader.T || !state.people) say("There is nothing to draw: no frames or no people.");
  clock.addEventListener("frame", () => stages.forEach((stage) => stage.draw()));
  clock.addEventListener("target", () => {
    writeTarget(state);
    curves.draw(false);
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  window.poseworks = { clock, state, stages, tracks, timelines, curves }; // for scripts and tests
  state.choose(0, state.joint);
  clock.seek(leader.firstSeen);
  writeTarget(state);
  timelines.forEach((view) => view.draw());
  document.body.dataset.ready = "true";
}

start();
