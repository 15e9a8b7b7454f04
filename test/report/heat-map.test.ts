import { expect, it } from 'vitest';
import { heatMap } from '../../src/report/heat-map.ts';

const fills = (values: number[][], most: number): string[] => {
  const { text } = heatMap({
    ...{ title: 'mix', note: '', description: 'angles', axisName: 'layer', valueName: 'angle', most },
    values,
  });
  return [...text.matchAll(/<path d="M[^"]*" fill="([^"]*)"/g)].map(([, fill]) => fill!);
};

it('gives a value one colour in every map, whatever else the map holds', () => {
  const [, quarter] = fills([[0, 0.25]], 0.5);
  const [first, amongOthers] = fills([[0.1, 0.25, 0.5, 0.4]], 0.5);
  expect(amongOthers).toBe(quarter);
  expect(first).not.toBe(quarter);
});

it('keeps to the ends of its scale, and leaves out what is not finite', () => {
  expect(fills([[-1, 0, 9, 0.5, Number.NaN]], 0.5)).toEqual(['rgb(68,1,84)', 'rgb(253,231,37)']);
});

it('comes with its values', () => {
  const [drawing] = heatMap({
    ...{ title: 'Mix-LN', group: 'depth', note: '', description: '', axisName: 'layer', valueName: 'angle', most: 0.5 },
    values: [
      [0, 0.125],
      [0.125, 0],
    ],
  }).drawings;
  expect(drawing).toMatchObject({
    name: 'depth-mix-ln',
    csv: 'layer (row),layer (column),angle\n0,0,0\n0,1,0.125\n1,0,0.125\n1,1,0\n',
  });
});
