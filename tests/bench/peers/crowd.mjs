// What the submitters in JavaScript share: how many tasks, how many at once, for how long, and what is printed.

/** Measures `task`, which submits one and resolves when its result is held. */
export async function measure(task) {
  const [tasks, inFlight, singles, seconds] = process.argv.slice(2).map(Number);
  await task(); // workers are there
  await crowd(task, Math.floor(tasks / 4), inFlight, seconds / 4);
  const times = [];
  const until = performance.now() + seconds * 1e3;
  while (times.length < singles && performance.now() < until) {
    const began = performance.now();
    await task();
    times.push(performance.now() - began);
  }
  const done = await crowd(task, tasks, inFlight, seconds);
  console.log(JSON.stringify({ tasks: done.count, seconds: done.took, singles_ms: times }));
}

/** Keeps `inFlight` tasks under way until all are done or the time is up. */
async function crowd(task, tasks, inFlight, seconds) {
  const began = performance.now();
  const until = began + seconds * 1e3;
  let count = 0;
  const lane = async () => {
    while (count < tasks && performance.now() < until) {
      count += 1;
      await task();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return { count, took: (performance.now() - began) / 1e3 };
}
