// The best of all rounds of each program, and the table of ratios.
import Table from 'cli-table3';

/** The best result of each program in a row, and mixtune's ratios. `measured` maps program names to measurements. */
export function resultOf(row, measured) {
  const better = row.lowerIsBetter ? Math.min : Math.max;
  const programs = Object.fromEntries(
    Object.entries(measured).map(([name, rounds]) => [
      name,
      {
        speed: better(...rounds.map(row.speed)),
        gflops: largest(rounds, 'gflops'),
        gemmGflops: largest(rounds, 'gemmGflops'),
        peakRssBytes: Math.min(...rounds.map(({ peakRssBytes }) => peakRssBytes)),
      },
    ]),
  );
  const peers = Object.keys(row.peers).filter((name) => programs[name]);
  const bestPeer = peers.reduce((best, name) => (programs[name].speed > programs[best].speed ? name : best), peers[0]);
  const { mixtune } = programs;
  const peak = Math.max(...Object.values(programs).map(({ gemmGflops }) => gemmGflops ?? 0));
  return {
    ...{ name: row.name, title: row.title, unit: row.unit, goal: row.goal, programs, bestPeer },
    ratio: bestPeer && mixtune && mixtune.speed / programs[bestPeer].speed,
    memoryRatio: bestPeer && mixtune && mixtune.peakRssBytes / programs[bestPeer].peakRssBytes,
    gemmGflops: peak || undefined,
  };
}

function largest(rounds, key) {
  const values = rounds.map((round) => round[key]).filter((value) => value !== undefined);
  return values.length > 0 ? Math.max(...values) : undefined;
}

/** A table with one line per program; mixtune's line has the ratios to the fastest peer and the goals. */
export function tableOf(results) {
  const table = new Table({
    head: ['row', 'program', 'speed', '', 'ratio', 'GFLOP/s', 'of peak', 'memory', 'ratio'],
    colAligns: ['left', 'left', 'right', 'left', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const result of results) {
    for (const [name, program] of Object.entries(result.programs)) {
      const isMixtune = name === 'mixtune';
      const { speed, gflops, peakRssBytes } = program;
      const share = gflops && result.gemmGflops ? gflops / result.gemmGflops : undefined;
      table.push([
        isMixtune ? result.title : '',
        name === result.bestPeer ? `${name} *` : name,
        speed < 10 ? speed.toFixed(2) : Math.round(speed).toLocaleString('en'),
        isMixtune ? [result.unit, reached(result)].filter(Boolean).join(' ') : result.unit,
        isMixtune ? withGoal(result.ratio, result.goal?.ratio, '≥', '×') : '',
        gflops === undefined ? '' : gflops.toFixed(0),
        share === undefined
          ? ''
          : withGoal(100 * share, isMixtune && 100 * (result.goal?.gemmShare ?? 0), '≥', ' %', 0),
        `${(peakRssBytes / 1e9).toFixed(2)} GB`,
        isMixtune ? withGoal(result.memoryRatio, result.goal?.memory, '≤', '×') : '',
      ]);
    }
  }
  return `${table}\n* the fastest peer of the row, to which the ratios refer. In parentheses: the goals.`;
}

const reached = ({ goal }) => (goal?.seconds ? `(< ${goal.seconds})` : '');

function withGoal(value, goal, relation, unit, digits = 2) {
  if (value === undefined) return '';
  return `${value.toFixed(digits)}${unit}${goal ? ` (${relation} ${Number(goal.toFixed(2))})` : ''}`;
}
