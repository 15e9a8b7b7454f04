/** Shows the values under the pointer in each chart. Without it the report is complete but for the exact numbers. */
export const tooltipScript = `
const element = (name, className, ...content) => {
  const made = Object.assign(document.createElement(name), { className });
  made.append(...content);
  return made;
};
for (const figure of document.querySelectorAll('.chart')) {
  const { curves, stops } = JSON.parse(figure.querySelector('script').textContent);
  const plot = figure.querySelector('.plot');
  const cursor = element('div', 'cursor');
  const box = element('div', 'tooltip');
  plot.append(cursor, box);
  const hide = () => { cursor.hidden = box.hidden = true; };
  const show = (event) => {
    const area = plot.getBoundingClientRect();
    const pointed = 100 * (event.clientX - area.left) / area.width;
    const [left, heading, texts] = stops.reduce((best, stop) => Math.abs(stop[0] - pointed) < Math.abs(best[0] - pointed) ? stop : best);
    const rows = curves.flatMap(([name, colour], i) => texts[i] ? [element('div', 'c' + colour, element('i', 'key'), name, element('b', '', texts[i]))] : []);
    box.replaceChildren(heading, ...rows);
    cursor.style.left = left + '%';
    box.style.left = left < 50 ? 'calc(' + left + '% + 12px)' : 'auto';
    box.style.right = left < 50 ? 'auto' : 'calc(' + (100 - left) + '% + 12px)';
    cursor.hidden = box.hidden = false;
  };
  hide();
  plot.addEventListener('pointermove', show);
  plot.addEventListener('pointerdown', show);
  plot.addEventListener('pointerleave', hide);
}
`;
