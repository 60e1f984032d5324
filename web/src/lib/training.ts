// Wait for a training that the server started.
import { api, type RunRow } from "./api";
import { t } from "./i18n";

const EVERY_MS = 1000;

/** Wait until a run is as wanted. Throws with the end of its output if the process ends before. */
export async function trainingUntil(id: string, wanted: (run: RunRow) => boolean): Promise<void> {
  for (;;) {
    await new Promise((done) => setTimeout(done, EVERY_MS));
    const { running, code, output } = await api.training(id);
    const { runs } = await api.runs();
    if (runs.some((run) => run.id === id && wanted(run))) return;
    if (!running && code === 0) return;
    if (!running) throw new Error(`${t("train.failed")}\n${output}`);
  }
}
