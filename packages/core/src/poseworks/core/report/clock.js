// Clock: which frame is on show. A video leads if the browser can play it, else a timer does.

class Clock extends EventTarget {
  /** `track` gives frame times; `video` is an element or null. Events: "frame" (drawn picture), "target", "state". */
  constructor(track, video) {
    super();
    this.track = track;
    this.video = video;
    this.frame = 0; // what the picture shows
    this.target = 0; // what was asked for; differs from `frame` while a video seeks
    this.playing = false;
    this.rate = 1;
    this.loop = true;
    this.pending = false;
    if (video) this.listen();
  }

  get last() {
    return Math.max(this.track.T - 1, 0);
  }

  get usesVideo() {
    return Boolean(this.video);
  }

  /** The video cannot be played: a timer takes over. */
  dropVideo() {
    const playing = this.playing;
    this.pause();
    this.video = null;
    this.pending = false;
    this.show(this.target);
    if (playing) this.play();
  }

  listen() {
    const video = this.video;
    const presented = (seconds) => {
      if (this.video !== video || (this.pending && !this.playing && video.seeking)) return;
      const frame = this.track.frameAt(seconds);
      if (!this.pending) this.target = Math.max(frame, 0);
      this.show(frame);
    };
    if (video.requestVideoFrameCallback) {
      const next = (_, facts) => {
        presented(facts.mediaTime);
        video.requestVideoFrameCallback(next);
      };
      video.requestVideoFrameCallback(next);
    } else {
      const next = () => {
        if (this.playing) presented(video.currentTime);
        requestAnimationFrame(next);
      };
      requestAnimationFrame(next);
    }
    video.addEventListener("seeked", () => {
      this.pending = false;
      if (this.asked !== this.target && !this.playing) this.seekVideo();
      else if (!this.playing) this.show(this.target);
    });
    video.addEventListener("ended", () => {
      if (this.loop && this.playing) {
        video.currentTime = 0;
        video.play();
      } else this.pause();
    });
    video.addEventListener("pause", () => {
      if (this.playing && !video.ended) this.setPlaying(false);
    });
  }

  show(frame) {
    if (frame === this.frame && this.shownOnce) return;
    this.shownOnce = true;
    this.frame = frame;
    this.dispatchEvent(new Event("frame"));
    this.dispatchEvent(new Event("target"));
  }

  setPlaying(playing) {
    this.playing = playing;
    this.dispatchEvent(new Event("state"));
  }

  play() {
    if (this.playing || !this.track.T) return;
    if (this.target >= this.last) this.seek(0);
    this.setPlaying(true);
    if (this.video) {
      this.video.playbackRate = this.rate;
      this.video.play().catch(() => this.setPlaying(false));
      return;
    }
    this.begin();
    const tick = (now) => {
      if (!this.playing || this.video) return;
      const { times, duration } = this.track;
      const seconds = this.startSeconds + ((now - this.startedAt) / 1000) * this.rate;
      if (seconds >= duration) {
        if (!this.loop) {
          this.move(this.last);
          this.setPlaying(false);
          return;
        }
        this.move(0);
        this.startSeconds = times[0];
        this.startedAt = now;
      } else this.move(Math.max(this.track.frameAt(seconds - 0.25 / this.track.fps), 0));
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  begin() {
    this.startedAt = performance.now();
    this.startSeconds = this.track.times[this.target] ?? 0;
  }

  move(frame) {
    this.target = frame;
    this.show(frame);
  }

  pause() {
    if (!this.playing) return;
    this.setPlaying(false);
    if (this.video) {
      this.video.pause();
    }
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  setRate(rate) {
    this.rate = rate;
    if (this.video) this.video.playbackRate = rate;
    else if (this.playing) this.begin();
  }

  seek(frame) {
    this.target = Math.min(Math.max(frame, 0), this.last);
    if (this.video) {
      this.seekVideo();
      this.dispatchEvent(new Event("target"));
    } else {
      this.show(this.target);
      this.begin();
    }
  }

  step(count) {
    this.pause();
    this.seek(this.target + count);
  }

  /** Into the middle of the frame, so that rounding cannot show its neighbour; one seek at a time, then the latest. */
  seekVideo() {
    if (this.pending || this.video.readyState < 1) return;
    const { times, T } = this.track;
    const start = times[this.target] ?? 0;
    const end = this.target + 1 < T ? times[this.target + 1] : start + 1 / this.track.fps;
    this.pending = true;
    this.asked = this.target;
    this.video.currentTime = Math.min((start + end) / 2, Math.max(this.video.duration - 1e-3, 0));
  }
}
