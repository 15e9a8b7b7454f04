/** Shows the values under the pointer in each chart. Without it the report is complete but for the exact numbers. */
export const tooltipScript = `
for (const figure of document.querySelectorAll('figure.chart')) {
  const data = JSON.parse(figure.querySelector('script').textContent);
  const plot = figure.querySelector('.plot');
  const cursor = Object.assign(document.createElement('div'), { className: 'cursor', hidden: true });
  const box = Object.assign(document.createElement('div'), { className: 'tooltip', hidden: true });
  plot.append(cursor, box);
  const [xMin, xMax] = data.x;
  const height = (y) => data.log ? Math.log(y / data.y[0]) / Math.log(data.y[1] / data.y[0]) : (y - data.y[0]) / (data.y[1] - data.y[0]);
  const nearest = (points, x) => points.reduce((best, point) => Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best);
  const line = (text, value, colour) => {
    const row = document.createElement('div');
    if (colour !== undefined) {
      const key = Object.assign(document.createElement('i'), { className: 'key' });
      key.style.color = 'var(--c' + colour + ')';
      row.append(key);
    }
    row.append(text, Object.assign(document.createElement('b'), { textContent: value }));
    return row;
  };
  const show = (event) => {
    const area = plot.getBoundingClientRect();
    const pointed = xMin + (xMax - xMin) * (event.clientX - area.left) / area.width;
    const found = data.curves.filter((curve) => curve.points.length > 0).map((curve) => [curve, nearest(curve.points, pointed)]);
    if (found.length === 0) return;
    const x = nearest(found.map(([, point]) => point), pointed)[0];
    const share = (x - xMin) / (xMax - xMin);
    const step = (xMax - xMin) / 40;
    const near = found.filter(([, point]) => Math.abs(point[0] - x) <= step);
    const dots = near.map(([curve, point]) => {
      const dot = document.createElement('i');
      dot.style.color = 'var(--c' + curve.colour + ')';
      dot.style.bottom = 100 * height(point[1]) + '%';
      return dot;
    });
    cursor.replaceChildren(...dots);
    cursor.style.left = 100 * share + '%';
    const title = data.categories ? line(data.categories[x], '') : line(data.xLabel, x.toLocaleString('en-US'));
    box.replaceChildren(title, ...near.map(([curve, point]) => line(curve.name, point[2], curve.colour)));
    cursor.hidden = box.hidden = false;
    box.style.left = share < 0.5 ? 'calc(' + 100 * share + '% + 12px)' : 'auto';
    box.style.right = share < 0.5 ? 'auto' : 'calc(' + 100 * (1 - share) + '% + 12px)';
  };
  plot.addEventListener('pointermove', show);
  plot.addEventListener('pointerdown', show);
  plot.addEventListener('pointerleave', () => { cursor.hidden = box.hidden = true; });
}
`;
