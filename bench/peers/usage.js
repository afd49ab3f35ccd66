// What processes use, from /proc: of a process all its threads, of a database all its processes.

import { readdirSync, readFileSync } from "node:fs";

function parentOf(pid) {
  try {
    // After the name, which may hold anything, come the state and the parent.
    return Number(readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "").split(" ")[1]);
  } catch {
    return 0;
  }
}

function nanosecondsOf(pid) {
  let sum = 0;
  try {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      sum += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]);
    }
  } catch (error) {
    if (error.code !== "ENOENT" && error.code !== "ESRCH") {
      throw error;
    }
  }
  return sum;
}

/** Gives the CPU time of all threads of a process, in microseconds. */
export const cpuOf = (pid) => nanosecondsOf(pid) / 1000;

/** Gives the CPU time of a process and of those that it started, in microseconds. */
export function cpuOfFamily(pid) {
  const others = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && parentOf(name) === pid);
  return [pid, ...others].reduce((sum, one) => sum + cpuOf(one), 0);
}

/** Gives the resident memory of a process, in KiB. */
export function memoryOf(pid) {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
}
