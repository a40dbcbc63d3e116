/** Sound and desktop notices: opt-in, from one tab of all, and never for what the page in front of the user shows. */
import type { NotificationView } from "./catalogue.js";
import type { Stop } from "./store.js";

const SOUND_EVERY_MS = 2_000;
const LEADER = "bitpay-realtime:leader";
const VISIBLE = "bitpay-realtime:visible";

export interface AlertsOptions {
  /** Where a click leads; the location of the page unless told. */
  navigate?: (path: string) => void;
}

/**
 * One tab of a site leads, as long as it lives: whoever holds a lock of the browser. Where there are no Web Locks every
 * visible tab is its own leader.
 */
export class Alerts {
  navigate: (path: string) => void;
  #isLeader = false;
  #sound: AudioContext | null = null;
  #soundAt = -SOUND_EVERY_MS;
  #users = 0;
  #ends: Stop[] = [];

  constructor(options: AlertsOptions = {}) {
    this.navigate = options.navigate ?? ((path) => globalThis.location.assign(path));
  }

  /** Stands for election until the returned function is called. Sound is unlocked by a gesture where it is wanted. */
  start(wantsSound: () => boolean = () => false): Stop {
    if (++this.#users === 1 && typeof document !== "undefined") this.#begin(wantsSound);
    let done = false;
    return () => {
      if (done) return;
      done = true;
      if (--this.#users === 0) this.#ends.splice(0).forEach((end) => end());
    };
  }

  /** To be called by a gesture of the user: without one browsers keep pages silent. */
  unlockSound(): void {
    this.#sound ??= typeof AudioContext === "undefined" ? null : new AudioContext();
    void this.#sound?.resume();
  }

  /** Asks for desktop notices; to be called by the click that wants them. Whether they may be shown. */
  async askDesktop(): Promise<boolean> {
    if (typeof Notification === "undefined") return false;
    if (Notification.permission === "default") await Notification.requestPermission();
    return Notification.permission === "granted";
  }

  /** Two notes, for what presses; at most every 2 s, and only where a gesture has allowed it. */
  sound({ priority }: NotificationView): void {
    const audio = this.#sound;
    if (!this.#leads() || !audio || audio.state !== "running" || (priority !== "high" && priority !== "urgent")) return;
    const now = Date.now();
    if (now - this.#soundAt < SOUND_EVERY_MS) return;
    this.#soundAt = now;
    const gain = new GainNode(audio, { gain: 0 });
    gain.connect(audio.destination);
    [660, 880].forEach((frequency, at) => {
      const begins = audio.currentTime + at * 0.12;
      const note = new OscillatorNode(audio, { frequency });
      note.connect(gain);
      gain.gain.setTargetAtTime(0.12, begins, 0.01);
      gain.gain.setTargetAtTime(0, begins + 0.08, 0.03);
      note.start(begins);
      note.stop(begins + 0.4);
    });
  }

  /** A notice of the system, while no tab of this site is in front. */
  async desktop({ id, title, message, actionUrl }: NotificationView): Promise<void> {
    if (typeof Notification === "undefined" || Notification.permission !== "granted") return;
    if (!this.#leads() || !document.hidden) return;
    const held = (await globalThis.navigator.locks?.query())?.held ?? [];
    if (held.some((it) => it.name === VISIBLE)) return;
    const notice = new Notification(title, { body: message, tag: id });
    notice.onclick = () => {
      globalThis.focus();
      notice.close();
      if (isPath(actionUrl)) this.navigate(actionUrl);
    };
  }

  #leads(): boolean {
    return this.#isLeader || (!globalThis.navigator.locks && !document.hidden);
  }

  #begin(wantsSound: () => boolean): void {
    const { locks } = globalThis.navigator;
    const unlock = (): void => {
      if (wantsSound()) this.unlockSound();
    };
    addEventListener("pointerdown", unlock);
    this.#ends.push(() => removeEventListener("pointerdown", unlock));
    if (!locks) return;
    this.#ends.push(
      hold(LEADER, "exclusive", (held) => (this.#isLeader = held)),
      () => (this.#isLeader = false),
    );
    let visible: Stop | null = null;
    const look = (): void => {
      if (!document.hidden) visible ??= hold(VISIBLE, "shared");
      else {
        visible?.();
        visible = null;
      }
    };
    look();
    document.addEventListener("visibilitychange", look);
    this.#ends.push(() => {
      document.removeEventListener("visibilitychange", look);
      visible?.();
    });
  }
}

/** Holds a lock of the browser, as soon as it is free, until the returned function is called or the tab is gone. */
function hold(name: string, mode: LockMode, told: (held: boolean) => void = () => {}): Stop {
  const given = new AbortController();
  let release = (): void => given.abort();
  const asked = navigator.locks.request(name, { mode, signal: given.signal }, () => {
    told(true);
    return new Promise<void>((resolve) => (release = resolve));
  });
  asked.catch(() => {}); // given up before it was had
  return () => release();
}

/** Whether this is a path of the site itself; nothing else is ever followed. */
export function isPath(url: string | null): url is string {
  return url !== null && /^\/(?![/\\])/.test(url);
}
