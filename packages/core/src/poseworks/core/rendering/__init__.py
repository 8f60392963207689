"""Pictures of meshes, by a z-buffer on the CPU. NumPy only.

render(Mesh(vertices, faces), Pinhole.from_focal(1100, (1280, 720)), (1280, 720)).over(picture)

Axes of a camera: x right, y down, z away from it. Pixel (column i, row j) has its middle at (i + 0.5, j + 0.5).
"""

from poseworks.core.rendering.render import Shading, face_parts, render
from poseworks.core.rendering.scene import SKIN, Light, Mesh, Rendered

__all__ = ["SKIN", "Light", "Mesh", "Rendered", "Shading", "face_parts", "render"]
