// Is this page looked at, left, or online again? -> calls. A page that is hidden only for a moment is left alone.

export const isHidden = () => document.visibilityState === "hidden";

/**
 * `on`: {hidden(), handOver() and sleep() when it has been hidden for so many ms, shown(), online()}. Returns {look(),
 * clear() the timers, stop()}.
 */
export function watchAttention({ handover, grace }, on) {
  let timers = [];
  const clear = () => {
    timers.forEach(clearTimeout);
    timers = [];
  };
  const shown = () => (clear(), on.shown());
  const look = () => {
    if (!isHidden()) return shown();
    clear();
    timers = [setTimeout(on.handOver, handover), setTimeout(on.sleep, grace)];
    on.hidden();
  };
  const heard = [
    [document, "visibilitychange", look],
    [globalThis, "pagehide", () => on.sleep()],
    [globalThis, "pageshow", shown],
    [globalThis, "online", () => on.online()],
  ];
  for (const [target, name, act] of heard) target.addEventListener(name, act);
  const stop = () => {
    clear();
    for (const [target, name, act] of heard) target.removeEventListener(name, act);
  };
  return { clear, look, stop };
}
