// Timelines: lanes of labelled spans under the picture, with a cursor in step with it.

const HUES = [205, 28, 160, 320, 255, 48, 350, 110, 180, 285, 15, 80];

/** "arm raise · 97 %" */
function spanText(span) {
  return span.value === null ? span.label : `${span.label} · ${Math.round(100 * span.value)} %`;
}

class TimelineView {
  constructor(facts, state, hues) {
    this.state = state;
    const { times, duration } = state.clock.track;
    this.from = Math.min(times[0] ?? 0, ...facts.lanes.flatMap((lane) => lane.spans.map((span) => span.begin_s)));
    this.to = Math.max(duration, ...facts.lanes.flatMap((lane) => lane.spans.map((span) => span.end_s)));
    this.box = document.createElement("section");
    this.box.className = "card timeline";
    const title = document.createElement("h2");
    title.textContent = facts.title;
    this.box.append(title);
    this.lanes = facts.lanes.map((lane) => this.addLane(lane, hues));
    if (facts.note) {
      const note = document.createElement("p");
      note.className = "note";
      note.textContent = facts.note;
      this.box.append(note);
    }
  }

  share(seconds) {
    return this.to > this.from ? (100 * (seconds - this.from)) / (this.to - this.from) : 0;
  }

  addLane(lane, hues) {
    const row = document.createElement("div");
    row.className = "lane";
    const head = document.createElement("div");
    head.className = "head";
    const name = document.createElement("span");
    name.textContent = lane.title;
    const now = document.createElement("b");
    head.append(name, now);
    const strip = document.createElement("div");
    strip.className = "strip";
    for (const span of lane.spans) strip.append(this.makeSpan(span, hues));
    const cursor = document.createElement("i");
    cursor.className = "cursor";
    strip.append(cursor);
    const seek = (event) => {
      const bounds = strip.getBoundingClientRect();
      const share = Math.min(Math.max((event.clientX - bounds.left) / bounds.width, 0), 1);
      const { clock } = this.state;
      clock.pause();
      clock.seek(Math.max(clock.track.frameAt(this.from + share * (this.to - this.from)), 0));
    };
    strip.addEventListener("pointerdown", (event) => {
      strip.setPointerCapture(event.pointerId);
      seek(event);
    });
    strip.addEventListener("pointermove", (event) => event.buttons && seek(event));
    row.append(head, strip);
    this.box.append(row);
    return { spans: lane.spans, now, cursor };
  }

  makeSpan(span, hues) {
    const part = document.createElement("div");
    part.className = span.muted ? "span muted" : "span";
    part.textContent = span.label;
    const seconds = `${span.begin_s.toFixed(1)}–${span.end_s.toFixed(1)} s`;
    part.title = [spanText(span), seconds, span.detail].filter(Boolean).join("\n");
    part.style.left = `${this.share(span.begin_s)}%`;
    part.style.width = `${this.share(span.end_s) - this.share(span.begin_s)}%`;
    if (!span.muted) part.style.setProperty("--hue", String(hues.get(span.label)));
    return part;
  }

  draw() {
    const { clock } = this.state;
    const seconds = clock.track.times[clock.target] ?? 0;
    for (const { spans, now, cursor } of this.lanes) {
      cursor.style.left = `${this.share(seconds)}%`;
      const span = spans.find((each) => each.begin_s <= seconds && seconds < each.end_s);
      now.textContent = span ? spanText(span) : "–";
    }
  }
}

/** The views of all timelines; one label has one colour in all of them. */
function addTimelines(all, state, holder) {
  const spans = all.flatMap((facts) => facts.lanes.flatMap((lane) => lane.spans));
  const labels = [...new Set(spans.filter((span) => !span.muted).map((span) => span.label))];
  const hues = new Map(labels.map((label, number) => [label, HUES[number % HUES.length]]));
  const views = all.map((facts) => new TimelineView(facts, state, hues));
  holder.append(...views.map((view) => view.box));
  holder.hidden = !views.length;
  state.clock.addEventListener("target", () => views.forEach((view) => view.draw()));
  return views;
}
