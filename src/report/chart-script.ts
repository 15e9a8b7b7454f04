/**
 * Shows the values of a chart where one points or, with the arrow keys, steps, and saves it. Without it the report is
 * complete: the files lie beside it.
 */
export const chartScript = `
const element = (name, className, ...content) => {
  const made = Object.assign(document.createElement(name), { className });
  made.append(...content);
  return made;
};

function showValues(plot, { curves, stops }) {
  const cursor = element('div', 'cursor');
  const box = element('div', 'tooltip');
  plot.append(cursor, box);
  let at = -1;
  const hide = () => { at = -1; cursor.hidden = box.hidden = true; };
  const show = (index) => {
    at = index;
    const [left, heading, texts] = stops[index];
    const rows = curves.flatMap(([name, colour], i) => texts[i] ? [element('div', 'c' + colour, element('i', 'key'), name, element('b', '', texts[i]))] : []);
    box.replaceChildren(heading, ...rows);
    cursor.style.left = left + '%';
    box.style.left = left < 50 ? 'calc(' + left + '% + 12px)' : 'auto';
    box.style.right = left < 50 ? 'auto' : 'calc(' + (100 - left) + '% + 12px)';
    cursor.hidden = box.hidden = false;
  };
  const point = (event) => {
    const area = plot.getBoundingClientRect();
    const pointed = 100 * (event.clientX - area.left) / area.width;
    show(stops.reduce((best, [left], i) => Math.abs(left - pointed) < Math.abs(stops[best][0] - pointed) ? i : best, 0));
  };
  const step = (event) => {
    const places = { ArrowRight: at + 1, ArrowLeft: at < 0 ? stops.length - 1 : at - 1, Home: 0, End: stops.length - 1 };
    if (event.key === 'Escape') hide();
    if (!(event.key in places)) return;
    event.preventDefault();
    show(Math.min(stops.length - 1, Math.max(0, places[event.key])));
  };
  hide();
  box.setAttribute('role', 'status');
  plot.addEventListener('pointermove', point);
  plot.addEventListener('pointerdown', point);
  plot.addEventListener('pointerleave', hide);
  plot.addEventListener('keydown', step);
  plot.addEventListener('blur', hide);
}

const palette = JSON.parse(document.getElementById('palette').textContent);

function svgOf(plot, { before, after }) {
  const content = [...plot.querySelector('svg').children].map((child) => new XMLSerializer().serializeToString(child)).join('');
  const colour = (_, name, other) => palette[name] ?? palette[other] ?? name;
  return before + content.replace(/var\\(--(\\w+)(?:, ?var\\(--(\\w+)\\))?\\)/g, colour) + after;
}

function save(blob, name) {
  const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function pngOf(svg) {
  const image = new Image();
  image.src = 'data:image/svg+xml;charset=utf-8,' + encodeURIComponent(svg);
  await image.decode();
  const canvas = Object.assign(document.createElement('canvas'), { width: 2 * image.width, height: 2 * image.height });
  const context = canvas.getContext('2d');
  context.scale(2, 2);
  context.drawImage(image, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
}

function offerFiles(figure, plot, { name, frame, csv }) {
  const formats = {
    SVG: () => new Blob([svgOf(plot, frame)], { type: 'image/svg+xml' }),
    PNG: () => pngOf(svgOf(plot, frame)),
    CSV: () => new Blob([csv], { type: 'text/csv' }),
  };
  const buttons = Object.entries(formats).map(([format, make]) => {
    const button = element('button', '', format);
    button.setAttribute('aria-label', 'Save ' + name + ' as ' + format);
    button.addEventListener('click', async () => save(await make(), name + '.' + format.toLowerCase()));
    return button;
  });
  figure.append(element('div', 'save', ...buttons));
}

for (const figure of document.querySelectorAll('.chart:not(.wins)')) {
  const values = JSON.parse(figure.querySelector('script').textContent);
  const plot = figure.querySelector('.plot');
  offerFiles(figure, plot, values);
  if (values.stops) showValues(plot, values);
}
`;
