import { describe, expect, it } from 'vitest';
import { escapeHtml, html, jsonScript } from '../../src/report/html.ts';

describe('html', () => {
  it('escapes values and leaves markup alone', () => {
    const inner = html`<b>${'<i>'}</b>`;
    expect(html`<p title="${'"\'&'}">${inner}${[1, ' ', inner]}${undefined}${false}</p>`.text).toBe(
      '<p title="&quot;&#39;&amp;"><b>&lt;i&gt;</b>1 <b>&lt;i&gt;</b></p>',
    );
  });
});

describe('escapeHtml', () => {
  it('replaces what could not be shown or would turn the text around', () => {
    expect(escapeHtml('a\0b\u001b[31m\u202ecba\u2069\ud800')).toBe('a\ufffdb\ufffd[31m\ufffdcba\ufffd\ufffd');
  });

  it('keeps tabs, line ends and every other script', () => {
    expect(escapeHtml('a\tb\r\nc\rd שלום 漢字 👩‍🌾')).toBe('a\tb\nc\nd שלום 漢字 👩‍🌾');
  });
});

describe('jsonScript', () => {
  it('holds no text that closes its element, and the same value', () => {
    const value = { text: '</script><!--<script>&\u2028' };
    const { text } = jsonScript(value);
    const json = text.slice(text.indexOf('>') + 1, text.lastIndexOf('<'));
    expect(json).not.toMatch(/[<>&\u2028]/);
    expect(JSON.parse(json)).toEqual(value);
  });
});
