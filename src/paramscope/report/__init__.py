"""The page that shows a run to people: one self-contained HTML file, charts drawn as SVG on the server side."""

from paramscope.report.material import Material
from paramscope.report.page import render_report

__all__ = ["Material", "render_report"]
