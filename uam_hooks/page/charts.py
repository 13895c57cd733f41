"""Charts as SVG inside of the page. pygal lays them out; of what it makes, shapes and text alone come along.

Its styles, scripts and comments stay behind, with every attribute that is no shape: the page has one style sheet, which
gives the colours for light and dark, and no script. A chart is drawn twice, as wide as a page and as narrow as a
telephone, because letters that shrink with their chart cannot be read there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

import pygal
from pygal.style import Style

from uam_hooks.page.markup import Html, joined, short, tag, text

_SHAPES = ("svg", "g", "path", "rect", "circle", "line", "text")
_ATTRIBUTES = ("class", "d", "x", "y", "width", "height", "rx", "ry", "cx", "cy", "r", "x1", "x2", "y1", "y2",
               "transform", "viewBox")  # fmt: skip
_LEFT_OUT = {"tooltip-overlay", "legends", "titles", "background"}
_WEEK = 7
_LABEL = 12  # pixels; page.css says the same


class Size(NamedTuple):
    """How large a chart is drawn, how many days fit, and how many characters of a name."""

    name: str
    width: int
    days: int
    names: int


SIZES = (Size("wide", 560, 31, 28), Size("narrow", 340, 14, 18))


class Series(NamedTuple):
    """Values under one name, None where there is none; `colour` is the number of one in page.css."""

    name: str
    values: Sequence[float | None]
    colour: int


class Chart(NamedTuple):
    """What is drawn: its name, what it shows in a sentence, and values for each of the labels."""

    name: str
    title: str
    says: str
    labels: Sequence[str]
    series: Sequence[Series]
    unit: str = ""


def by_day(chart: Chart, *, stacked: bool = False) -> Html:
    """Upright bars for the newest days, as many as fit."""

    def drawn(size: Size) -> Any:
        kind = pygal.StackedBar if stacked else pygal.Bar
        made = kind(**_common(size, 300), margin_right=12)
        days = _days(chart.labels, size.days)
        shown = [day[5:] for day in days]
        step = -(-len(shown) // (size.width // 60))
        made.x_labels = shown
        made.x_labels_major = shown[::-1][::step]
        made.show_minor_x_labels = False
        made.value_formatter = _said(chart.unit)
        made.y_labels = _steps(chart, stacked)
        for one in chart.series:
            made.add(
                one.name,
                [dict(zip(chart.labels, one.values, strict=True)).get(day) for day in days],
                formatter=_said(f"{chart.unit} {one.name}"),
            )
        return made

    return _figure(chart, drawn)


def _days(found: Sequence[str], most: int) -> list[str]:
    """The newest of these days and those before it, as many as fit, a week at least; some may have had nothing."""
    first, last = (date(*map(int, day.split("-"))) for day in (found[0], found[-1]))
    back = min(max((last - first).days, _WEEK - 1), most - 1, last.toordinal() - 1)
    return [(last - timedelta(days=n)).isoformat() for n in range(back, -1, -1)]


def by_name(chart: Chart, most: int = 10) -> Html:
    """Bars that lie, one below the other, for the first of the labels."""

    def drawn(size: Size) -> Any:
        labels = [short(label, size.names) for label in chart.labels[:most]][::-1]
        bars = max(len(labels) * len(chart.series), 2)
        made = pygal.HorizontalBar(**_common(size, 90 + 22 * bars), margin_right=24)
        made.x_labels = labels
        made.value_formatter = _said(chart.unit)
        made.y_labels = _steps(chart)
        for one in chart.series:
            made.add(one.name, list(one.values[:most])[::-1], formatter=_said(f"{chart.unit} {one.name}"))
        return made

    return _figure(chart, drawn)


def _steps(chart: Chart, stacked: bool = False) -> list[int] | None:
    """Where the axis of what is counted has its numbers: whole ones. None where it is measured: pygal finds some."""
    if chart.unit:
        return None
    columns = zip(*(one.values for one in chart.series), strict=True)
    most = max(
        (sum(found) if stacked else max(found) for column in columns if (found := [v or 0 for v in column])), default=0
    )
    step = next(n * 10**power for power in range(20) for n in (1, 2, 5) if n * 10**power * 5 >= most)
    return list(range(0, int(most) + step, step))


class Dot(NamedTuple):
    """Something that happened at a moment (hours before now, so 0 or less) on a lane (its number, from above)."""

    hours: float
    lane: int
    says: str


def over_time(chart: Chart, dots: Sequence[Dot]) -> Html:
    """The day before now from left to right, with a lane for each of the labels and a dot for what happened."""

    def drawn(size: Size) -> Any:
        lanes = len(chart.labels)
        made = pygal.XY(
            **_common(size, 80 + 26 * max(lanes, 2)), stroke=False, dots_size=5, margin_right=24, xrange=(-24, 0),
            range=(-0.6, lanes - 0.4), show_x_guides=True,
        )  # fmt: skip
        made.show_legend = False
        step = 4 if size.name == "wide" else 8
        made.x_labels = [{"value": -hours, "label": f"{hours} h" if hours else "now"} for hours in range(24, -1, -step)]
        made.y_labels = [
            {"value": lanes - 1 - lane, "label": short(label, size.names)} for lane, label in enumerate(chart.labels)
        ]
        made.add("", [{"value": (dot.hours, lanes - 1 - dot.lane), "label": str(n)} for n, dot in enumerate(dots)])
        return made

    return _figure(chart, drawn, [dot.says for dot in dots])


def _common(size: Size, height: int) -> dict[str, Any]:
    return {
        "width": size.width, "height": height, "style": Style(
            label_font_size=_LABEL, major_label_font_size=_LABEL, legend_font_size=_LABEL, value_font_size=_LABEL
        ),
        "margin": 8, "spacing": 8, "show_legend": False, "x_label_rotation": 0, "truncate_label": -1,
        "min_scale": 2, "max_scale": 6, "js": [], "no_data_text": "",
    }  # fmt: skip


def _said(unit: str) -> Callable[[Any], str]:
    """Says a value with its unit, without a fraction that is none."""
    return lambda value: "" if value is None else f"{value:g}{unit}"


def _figure(chart: Chart, drawn: Callable[[Size], Any], dots: Sequence[str] = ()) -> Html:
    colours = [one.colour for one in chart.series]
    made = [_svg(drawn(size).render_tree(), chart, size, colours, dots) for size in SIZES]
    legend = [tag("li", tag("span", class_=f"key c{one.colour}"), one.name) for one in chart.series]
    key = [tag("ul", *legend, class_="legend", aria_hidden="true")] if len(legend) > 1 else []
    return tag("figure", tag("figcaption", chart.title), *key, joined(made))


def _svg(root: Any, chart: Chart, size: Size, colours: Sequence[int], dots: Sequence[str]) -> Html:
    """The chart for one size, with what it is and what it shows for those who do not see it."""
    name = f"{chart.name}-{size.name}"
    head = joined([tag("title", chart.title, id=f"{name}-title"), tag("desc", chart.says, id=f"{name}-desc")])
    inside = "".join(_shape(child, colours, dots) for child in root)
    return Html(
        f'<svg class="{size.name}" viewBox="{text(root.get("viewBox"))}" role="img"'
        f' aria-labelledby="{name}-title {name}-desc">{head.markup}{inside}</svg>'
    )


def _shape(element: Any, colours: Sequence[int], dots: Sequence[str]) -> str:
    """An element of pygal and what is in it, as far as it is drawn. What it says of a value becomes its tooltip."""
    if element.tag not in _SHAPES or _LEFT_OUT & set(element.get("class", "").split()):
        return ""
    attributes = {key: value for key, value in element.attrib.items() if key in _ATTRIBUTES}
    attributes["class"] = _classes(attributes.get("class", ""), colours)
    said = "".join(f' {key}="{text(value)}"' for key, value in attributes.items() if value)
    inside = text(element.text) if element.tag == "text" and element.text else ""
    inside += _tooltip(element, dots) + "".join(_shape(child, colours, dots) for child in element)
    return f"<{element.tag}{said}>{inside}</{element.tag}>" if inside or element.tag not in ("g", "text") else ""


def _classes(given: str, colours: Sequence[int]) -> str:
    """The classes by which page.css finds its shapes; the number of a series becomes that of its colour."""
    numbered = {f"color-{number}": f"c{colour}" for number, colour in enumerate(colours)}
    return " ".join(numbered.get(one, one) for one in given.split() if one not in ("reactive", "tooltip-trigger"))


def _tooltip(element: Any, dots: Sequence[str]) -> str:
    found = {child.get("class", "").split(" ")[0]: child.text for child in element if child.tag == "desc"}
    if "value" not in found:
        return ""
    number = found.get("label", "")
    if dots and number.isdecimal() and int(number) < len(dots):
        return tag("title", dots[int(number)]).markup
    return tag("title", ": ".join(part for part in (found.get("x_label"), found["value"]) if part)).markup
