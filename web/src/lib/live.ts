// Follow a run: by its events while it trains, by a look every few seconds otherwise.
import { api } from "./api";

const EVERY_MS = 4000;

/** Call `refresh` when there may be news of a run, one call at a time; returns the function that ends it. */
export function follow(id: string, isTraining: () => boolean, refresh: () => Promise<void>): () => void {
  let events: EventSource | null = null;
  let busy = false;
  let ended = false;

  async function look(): Promise<void> {
    if (busy || ended || document.hidden) return;
    busy = true;
    try {
      await refresh();
    } finally {
      busy = false;
    }
    connect();
  }
  function connect(): void {
    if (ended) return;
    if (isTraining() && !events) {
      events = api.events(id);
      events.onmessage = () => void look();
    } else if (!isTraining() && events) {
      events.close();
      events = null;
    }
  }
  const timer = setInterval(() => void look(), EVERY_MS);
  connect();
  return () => {
    ended = true;
    clearInterval(timer);
    events?.close();
  };
}
