"""The picture of two networks in several formats."""

# Told apart by everybody, also in grey.
_COLOURS = {"full": "#66717c", "grown": "#0b6fa4"}
# Key, title, factor, format, and whether ratios are what counts.
_PANELS = (
    ("accuracy", "accuracy, %", 100, ".1f", False),
    ("bytes", "size on disk, kB", 1e-3, ",.0f", True),
    ("milliseconds", "latency of one image, ms", 1, ".3g", True),
)


def draw(measured, path):
    """Draws accuracy, size and latency of both networks in each format.

    Args:
        measured: As `deploy.measure` returns it.
        path: Picture to write.

    Returns:
        Whether it was drawn: without matplotlib it is not, and that is said.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture: that needs matplotlib, `pip install matplotlib`")
        return False
    titles = list(measured)
    figure = Figure(figsize=(11, 1.2 + 0.5 * len(titles)), layout="tight")
    axes = figure.subplots(1, len(_PANELS), sharey=True)
    for axis, (key, title, scale, form, is_ratio) in zip(axes, _PANELS):
        values = {
            network: [scale * measured[t][network][key] for t in titles]
            for network in _COLOURS
        }
        if is_ratio:
            axis.set_xscale("log")
        for place, pair in enumerate(zip(*values.values())):
            axis.plot(pair, (place, place), color="#c5ccd3", zorder=1)
        for network, colour in _COLOURS.items():
            _dots(axis, values, network, colour, form)
        axis.set_title(title, fontsize=10)
        axis.margins(x=0.25, y=0.12)
        if not is_ratio:  # a point more on both sides: they may all be equal
            both = [*values["full"], *values["grown"]]
            axis.set_xlim(min(both) - 1, max(both) + 1)
        axis.tick_params(left=False)
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[0].set_yticks(range(len(titles)), titles)
    axes[0].invert_yaxis()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, frameon=False, loc="upper left", ncols=2, fontsize=9
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return True


def _dots(axis, values, network, colour, form):
    """One dot for each format, with its number on the side that is free."""
    (other,) = set(values) - {network}
    places = range(len(values[network]))
    axis.scatter(values[network], places, color=colour, label=network, zorder=2)
    for place, value, against in zip(places, values[network], values[other]):
        is_left = value < against or value == against and network == "grown"
        axis.annotate(
            format(value, form),
            (value, place),
            (-7 if is_left else 7, 0),
            textcoords="offset points",
            ha="right" if is_left else "left",
            va="center",
            fontsize=8,
            color=colour,
        )
