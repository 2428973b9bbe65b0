// Use the types that openapi-typescript generates: create, run, wait, and handle a refusal.
//
//     npm install openapi-fetch openapi-typescript typescript@5 tsx
//     npx openapi-typescript openapi.yaml --output scheduler_api.ts
//     npx tsx typescript_client.ts
//
// It reads SCHEDULER_URL and SCHEDULER_KEY, as the other scripts here do.

import createClient from "openapi-fetch";
import type { components, paths } from "./scheduler_api.js";

type Problem = components["schemas"]["Problem"];
declare const process: { env: Record<string, string | undefined> };

const client = createClient<paths>({
  baseUrl: process.env.SCHEDULER_URL ?? "http://127.0.0.1:8000",
  headers: { Authorization: `Bearer ${process.env.SCHEDULER_KEY}` },
});
const everyHour = { type: "interval", every: 1, period: "hours" } as const;

/** Return the stored object of a success; throw the problem of a refusal. */
function stored<Body extends { id: unknown }>({ data, error }: { data?: Body; error?: Problem }) {
  if (!data?.id) throw new Error(error?.detail ?? "A dry run stores nothing.");
  return data as Body & { id: NonNullable<Body["id"]> };
}

// Create or replace a periodic task by its name.
const task = stored(
  await client.PUT("/api/v1/periodic-tasks/by-name/{name}/", {
    params: { path: { name: "Hourly total" } },
    body: { task: "project.tasks.add", args: [40, 2], schedule: everyHour },
  }),
);
console.log(`${task.name} next runs at ${task.next_run_at}`);

// Run it now, and wait for its end.
let run = stored(
  await client.POST("/api/v1/periodic-tasks/{id}/runs/", {
    params: { path: { id: task.id } },
  }),
);
while (["pending", "queued", "running"].includes(run.state)) {
  run = stored(
    await client.GET("/api/v1/runs/{id}/", {
      params: { path: { id: run.id }, query: { wait: 30 } },
    }),
  );
}
console.log(`${run.state}: ${run.result}`);

// List failed runs.
const { data: failed } = await client.GET("/api/v1/runs/", {
  params: { query: { state: ["failed", "lost"] } },
});
console.log(`${failed?.results.length} runs failed`);

// A refusal is a Problem: its code never changes, and its errors point at the mistakes.
const { error: refusal } = await client.POST("/api/v1/periodic-tasks/", {
  body: { name: "Total", task: "project.tasks.add", args: ["forty", 2], schedule: everyHour },
});
for (const mistake of refusal?.errors ?? []) {
  console.log(`${refusal?.code}: ${mistake.pointer}: ${mistake.detail}`);
}
