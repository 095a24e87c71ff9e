// BullMQ for `cargo xtask bench --peers`: reads a request a line, answers in lines of JSON.
//
// Settings, as BullMQ's documentation recommends for production and throughput:
// - one Queue that many callers share, with `addBulk` for batches;
// - one Worker with `concurrency` instead of many workers, so that the end of a job and the fetch
//   of the next are one script call;
// - ioredis as the client, the default; `maxRetriesPerRequest: null` for workers, as required;
// - no `enableAutoPipelining`: it was tried, and everything became slower;
// - finished jobs stay (the default), as they do in FlowFabric, whose retention is a day.

import { createInterface } from "node:readline";
import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";

/** Different fillings of a payload. */
const FILLINGS = 61;
/** How long an idle worker is left alone between two jobs. */
const PAUSE_MS = 2;

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

function say(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

function connect(port) {
  return new Redis({ host: "127.0.0.1", port, maxRetriesPerRequest: null });
}

/** Payloads that differ from one number to the next; the number is part of each job. */
function payloads(bytes) {
  const fill = "abcdefghijklmnopqrstuvwxyz0123456789".repeat(Math.ceil(bytes / 36) + 2);
  return Array.from({ length: FILLINGS }, (_, at) => fill.slice(at % 36, (at % 36) + bytes));
}

/** Waits for the word to go, runs `work`, and says what it took. */
async function measured(work) {
  say({ ready: true });
  if ((await lines.next()).value !== "go") throw new Error("expected the word go");
  const cpu = process.cpuUsage();
  const begun = process.hrtime.bigint();
  const spans_us = await work();
  const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
  const { user, system } = process.cpuUsage(cpu);
  say({ seconds, client_cpu_us: user + system, spans_us: spans_us ?? [] });
}

function job(number, ask) {
  return { number, payload: ask.payloads[number % FILLINGS] };
}

async function submitSingle(queue, ask) {
  let next = 0;
  const caller = async () => {
    while (next < ask.tasks) await queue.add("bench", job(next++, ask));
  };
  await Promise.all(Array.from({ length: ask.outstanding }, caller));
}

async function submitBulk(queue, ask) {
  let next = 0;
  const caller = async () => {
    while (next < ask.tasks) {
      const first = next;
      next = Math.min(ask.tasks, first + ask.bulk);
      const jobs = [];
      for (let number = first; number < next; number += 1) {
        jobs.push({ name: "bench", data: job(number, ask) });
      }
      await queue.addBulk(jobs);
    }
  };
  await Promise.all(Array.from({ length: 4 }, caller));
}

/** Makes a worker that does not run yet; `done` resolves when all jobs have been completed. */
function makeWorker(ask, onStart) {
  const runs = new Uint32Array(ask.tasks);
  let damaged = 0;
  const process = async ({ data }) => {
    onStart?.();
    if (data.payload !== ask.payloads[data.number % FILLINGS]) damaged += 1;
    runs[data.number] += 1;
    return data.number;
  };
  const connection = connect(ask.port);
  const worker = new Worker(ask.queue, process, {
    connection,
    concurrency: ask.concurrency,
    autorun: false,
  });
  worker.on("error", (error) => console.error(error));
  const done = new Promise((resolve) => {
    let left = ask.tasks;
    worker.on("completed", () => {
      left -= 1;
      if (left === 0) resolve();
    });
  });
  const close = async () => {
    await worker.close();
    connection.disconnect();
  };
  return { worker, close, done, right: () => (damaged ? 0 : runs.filter((count) => count === 1).length) };
}

async function work(ask) {
  const { worker, close, done, right } = makeWorker(ask);
  await worker.waitUntilReady();
  await measured(async () => {
    worker.run();
    await done;
  });
  await close();
  return right();
}

/** Submits one job at a time to a worker that has nothing else to do. */
async function idle(queue, ask) {
  let started;
  const { worker, close, done, right } = makeWorker(ask, () => started(process.hrtime.bigint()));
  worker.run();
  await worker.waitUntilReady();
  await measured(async () => {
    const spans = [];
    for (let number = 0; number < ask.tasks; number += 1) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      const begins = new Promise((resolve) => (started = resolve));
      const submitted = process.hrtime.bigint();
      await queue.add("bench", job(number, ask));
      spans.push(Number((await begins) - submitted) / 1e3);
    }
    await done;
    return spans;
  });
  await close();
  return right();
}

/** Counts the jobs that ran once, whole, unless the server holds another number as done. */
async function done(queue, ask, right) {
  const { completed } = await queue.getJobCounts("completed");
  return completed === ask.tasks ? right : completed;
}

async function waiting(queue) {
  return (await queue.getJobCounts("waiting")).waiting;
}

async function run(ask) {
  ask.payloads = payloads(ask.payload);
  const connection = connect(ask.port);
  const queue = new Queue(ask.queue, { connection });
  await queue.waitUntilReady();
  let checked;
  switch (ask.run) {
    case "submit_single":
      await measured(() => submitSingle(queue, ask));
      checked = await waiting(queue);
      break;
    case "submit_bulk":
      await measured(() => submitBulk(queue, ask));
      checked = await waiting(queue);
      break;
    case "work":
      await submitBulk(queue, ask);
      checked = await done(queue, ask, await work(ask));
      break;
    case "work_submitted":
      checked = await done(queue, ask, await work(ask));
      break;
    case "idle":
      checked = await done(queue, ask, await idle(queue, ask));
      break;
    default:
      throw new Error(`no such run: ${ask.run}`);
  }
  await queue.close();
  connection.disconnect();
  say({ checked });
}

for (let line = await lines.next(); !line.done; line = await lines.next()) {
  try {
    await run(JSON.parse(line.value));
  } catch (error) {
    say({ error: String(error) });
  }
}
process.exit(0);
