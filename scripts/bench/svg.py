"""Draws the table of results as pairs of bars: plain SVG, no library."""
from xml.sax.saxutils import escape

COLOURS = {"linux": "#9aa5b1", "singlet": "#1f6feb"}
LEFT, BAR, ROW, WIDTH = 300, 300, 46, 760


def draw(title, rows, systems):
    """rows: (label, {system: value}, unit); in each row the longest bar is the largest value."""
    height = 76 + ROW * len(rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
           'font-family="sans-serif" font-size="13">',
           f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
           f'<text x="16" y="26" font-size="16" font-weight="bold">{escape(title)}</text>']
    for i, name in enumerate(systems):
        x = LEFT + i * 110
        out.append(f'<rect x="{x}" y="40" width="12" height="12" fill="{COLOURS[name]}"/>'
                   f'<text x="{x + 18}" y="51">{name.capitalize()}</text>')
    for i, (label, values, unit) in enumerate(rows):
        y = 68 + i * ROW
        out.append(f'<text x="{LEFT - 12}" y="{y + 20}" text-anchor="end">{escape(label)}</text>')
        largest = max(values.values()) or 1
        for j, name in enumerate(name for name in systems if name in values):
            width = max(values[name] / largest * BAR, 1)
            top = y + j * 17
            text = f"{short(values[name])} {unit}".strip()
            out.append(f'<rect x="{LEFT}" y="{top}" width="{width:.1f}" height="14" fill="{COLOURS[name]}"/>'
                       f'<text x="{LEFT + width + 6:.1f}" y="{top + 12}">{escape(text)}</text>')
    return "\n".join(out + ["</svg>", ""])


def short(value):
    """Three significant digits, with millions spelt out."""
    if value >= 1e6:
        return f"{value / 1e6:,.0f} million" if value >= 1e8 else f"{value / 1e6:.3g} million"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
