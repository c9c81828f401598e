"""Prints what counts.py finds: instructions by symbol, by group, by source folder."""
import collections

import counts


def table(title, total, per=1, top=None):
    whole = sum(total.values()) or 1
    digits = 0 if per == 1 else 1
    row = lambda name, value: print(
        f"{name[:44]:44} {value / per:16,.{digits}f} {100 * value / whole:6.2f}%")
    print(f"{title:44} {'instructions' if per == 1 else 'per request':>16} {'share':>7}")
    for name, value in total.most_common(top):
        row(name, value)
    rest = total.most_common()[top:] if top else []
    if rest:
        row(f"({len(rest)} more)", sum(value for _, value in rest))
    row("total", sum(total.values()))
    print()


def report(symbols, blocks, per=1, top=30, groups=(), folders=False):
    rep = sum(b.execs for b in blocks if b.flags & counts.FLAG_REP)
    table("symbol", counts.by_symbol(blocks, symbols), per, top)
    print(f"iterations of REP, not in the above: {rep / per:,.1f}\n")
    if groups:
        group, total = counts.grouping(groups, symbols), collections.Counter()
        for block in blocks:
            total[group(block)] += counts.weight(block)
        table("group", total, per)
    if folders:
        where = symbols.folders(blocks)
        total = collections.Counter()
        for block in blocks:
            total[where.get(block.vaddr, "?")] += counts.weight(block)
        table("source folder", total, per)
