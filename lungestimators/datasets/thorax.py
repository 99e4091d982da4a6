"""The thorax as simple solids: path lengths of X-rays through each tissue, in centimetres.

In all functions, ``p`` holds the measures of n patients, arrays of shape (n, 1, 1), most of them in
centimetres; ``radiographs`` draws them.
``x`` (to the patient's left) and ``y`` (down from the apex of the lungs) are the coordinates of
every pixel in centimetres, arrays of shape (n, image_size, image_size).
"""

from types import SimpleNamespace

import numpy as np

# Attenuation of soft tissue, aerated lung and bone at about 70 keV, per centimetre.
_SOFT, _LUNG, _BONE = 0.19, 0.045, 0.62


def _organ_edge(distance, softness):
    """Return 1 inside (positive distance in cm) and 0 outside, with a soft edge."""
    return np.clip(distance / softness + 0.5, 0, 1)


def _trace_ellipsoid(*normalised):
    """Return the path through an ellipsoid of unit half depth; coordinates in half axes."""
    square = normalised[0] ** 2
    for coordinate in normalised[1:]:
        square = square + coordinate**2
    return np.sqrt(np.maximum(1 - square, 0))


def trace_lungs(p, x, y):
    """Return the path through aerated lung, and where in the lung each pixel lies.

    Returns
    -------
    SimpleNamespace
        Arrays of one value a pixel: ``path`` (cm), ``mask`` (1 in the lung above the diaphragm),
        ``across`` (-1 at the mediastinum, 1 at the ribs), ``half`` (half the width of the lung, cm,
        at least 0.05), ``down`` (0 at the apex, 1 at the dome), ``floor`` (y of the diaphragm, cm)
        and ``left`` (bool).
    """
    left = x > 0
    side = np.abs(x)
    floor = p.height + left * p.left_lower
    middle = 0.56 * p.width
    # A dome; towards the side it falls off into the costophrenic angle.
    reach = (side - middle) / p.width
    fall = 4.2 * reach**2 + np.where(reach > 0, 9 * reach, -2 * reach) * reach**2
    floor = floor + p.dome * np.where(reach > 0, 1, p.medial_fall) * fall
    down = np.clip(y / p.height, 0, 1.4)
    lateral = p.width * np.sqrt(np.maximum(1 - np.maximum(1 - down / 0.92, 0) ** 1.9, 0))
    medial = 1.7 + 1.0 * np.exp(-(((down - 0.45) / 0.2) ** 2)) + 1.2 * np.maximum(0.25 - down, 0)
    medial = medial + p.round_apex * np.maximum(1 - np.sqrt(down / 0.12), 0)
    half = np.maximum((lateral - medial) / 2, 0.05)
    across = (side - medial - half) / half  # -1 at the mediastinum, 1 at the ribs
    inside = np.minimum(1 - np.abs(across), 1) * half
    edge, above = _organ_edge(inside, 0.25), _organ_edge(floor - y, 0.35)
    mask = edge * above * (y > 0)
    thickness = np.sqrt(np.maximum(1 - np.minimum(np.abs(across), 1) ** p.roundness, 0))
    # The lung thins towards the apex and the dome.
    thickness *= np.sqrt(np.clip(y / (0.30 * p.height), 0, 1)) * 0.35 + 0.65
    thickness *= p.at_dome + (1 - p.at_dome) * np.clip((floor - y) / 3.0, 0, 1)
    path = 1.62 * p.depth * thickness * mask
    if p.recess is not None:
        # Lung is seen through the dome, too. It fades with the root of the distance below the edge
        # of the dome. The outline ends at that edge.
        left_over = np.maximum(1 - np.sqrt(np.maximum(y - floor, 0) / p.recess_depth), 0)
        path += 1.62 * p.depth * thickness * p.recess * left_over * (edge * (1 - above))
    return SimpleNamespace(
        path=path,
        mask=mask,
        across=across,
        half=half,
        down=down,
        floor=floor,
        left=left,
    )


def trace_mediastinum(p, x, y):
    """Return the paths through the organs between the lungs, which displace lung.

    Returns
    -------
    SimpleNamespace
        Arrays of one value a pixel, in cm: ``heart`` (with the arch of the aorta),
        ``heart_and_vessels`` (all of the aorta and the vena cava, too) and ``hila``.
    """
    h = p.heart
    base = 0.97 * p.height
    dx, dy = x - 2.7 * h, y - (base - 2.6 * h)
    along, across = 0.82 * dx + 0.57 * dy, -0.57 * dx + 0.82 * dy
    ventricles = 14.0 * _trace_ellipsoid(along / (6.4 * h), across / (4.4 * h))
    atrium = 10.0 * _trace_ellipsoid((x + 0.6 * h) / (3.5 * h), (y - (base - 4.6 * h)) / (5.2 * h))
    upper = 9.0 * _trace_ellipsoid((x - 0.5) / (2.9 * h), (y - 0.44 * p.height) / (0.34 * p.height))
    knob = 9.0 * _trace_ellipsoid(
        (x - 1.9) / (p.knob + 0.5), (y - 0.27 * p.height) / (p.knob + 0.6)
    )
    aorta = 4.0 * _trace_ellipsoid((x - 1.9) / 1.35) * _organ_edge(y - 0.27 * p.height, 1.0)
    cava = (
        6.0
        * _trace_ellipsoid((x + 1.9) / 1.2)
        * _organ_edge(0.5 * p.height - y, 2.0)
        * _organ_edge(y - 2.0, 2.0)
    )
    hila = 5.0 * (
        _trace_ellipsoid((x - 3.7) / 1.7, (y - 0.42 * p.height) / 2.3)
        + _trace_ellipsoid((x + 3.6) / 1.7, (y - 0.46 * p.height) / 2.5)
    )
    heart = np.maximum.reduce([ventricles, atrium, knob])
    heart_and_vessels = np.maximum.reduce([heart, upper, cava]) + aorta
    return SimpleNamespace(heart=heart, heart_and_vessels=heart_and_vessels, hila=hila)


def outline_lungs(lungs, mediastinum):
    """Return which pixels are lung as radiologists outline it.

    That is the lung beside the heart and the great vessels and above the diaphragm, hila included.
    What lies behind the heart or the diaphragm is left out, to their edges as they are seen, and so
    is what lies between the two. Other great vessels are left out where they displace more than
    about a third of the air: their edges are faint.

    Parameters
    ----------
    lungs : SimpleNamespace
        From :func:`trace_lungs`.
    mediastinum : SimpleNamespace
        From :func:`trace_mediastinum`.

    Returns
    -------
    ndarray of bool
    """
    beside_heart = mediastinum.heart < 0.1 * lungs.path
    beside_vessels = mediastinum.heart_and_vessels < 0.35 * lungs.path
    heart = (mediastinum.heart > 1) & (lungs.down > 0.7)
    under_heart = np.maximum.accumulate(heart, axis=-2)
    # Just below the apex, half is at its lower limit: the mask has a thin line there.
    lung = (lungs.mask > 0.5) & (lungs.half > 0.1)
    return lung & beside_heart & beside_vessels & ~under_heart


def attenuate_by_thorax(p, lungs, mediastinum, opacity, x, y, fields, random):
    """Return the line integral of attenuation for each pixel.

    Parameters
    ----------
    p : SimpleNamespace
    lungs : SimpleNamespace
        From :func:`trace_lungs`.
    mediastinum : SimpleNamespace
        From :func:`trace_mediastinum`.
    opacity : ndarray
        Share of the lung's air that fluid replaces, for each pixel.
    x, y : ndarray
    fields : RandomFields
    random : numpy.random.Generator

    Returns
    -------
    ndarray
    """
    side = np.abs(x)
    body = _trace_body(p, side, y)
    displaced = mediastinum.heart_and_vessels + mediastinum.hila
    air = np.maximum(lungs.path - displaced, 0.10 * lungs.path)
    air = air * (1 - opacity)
    path = _SOFT * body - (_SOFT - _LUNG) * np.minimum(air, body)
    path += _SOFT * _trace_lung_vessels(p, fields, random, x, y) * lungs.mask
    trachea = _organ_edge(0.85 - np.abs(x - 0.25 * p.scoliosis), 0.5) * _organ_edge(
        0.24 * p.height - y, 0.8
    )
    path -= _SOFT * 1.5 * trachea * (body > 0)
    gas = _trace_ellipsoid((x - 0.42 * p.width) / 3.4, (y - lungs.floor - 2.4) / 1.9)
    path -= _SOFT * 6.0 * p.stomach * gas * _organ_edge(y - lungs.floor, 0.4)
    bowel = np.maximum(fields.field(0.9), 0) * _organ_edge(y - lungs.floor - 2, 2.0)
    path -= _SOFT * 0.8 * bowel * (body > 0)
    path += _BONE * p.bone * _trace_bones(p, x, y)
    return np.maximum(path, 0)


def _trace_body(p, side, y):
    """Return the path through the soft tissue of trunk, neck, shoulders, arms and breasts."""
    half_width = p.width + p.wall + 0.03 * (y - 0.5 * p.height)
    trunk = np.sqrt(_trace_ellipsoid(side / half_width)) * (
        1 + 0.12 * np.clip((y - p.height) / 6, 0, 1)
    )
    # The trapezius falls from the neck to the shoulder; the trunk under it thickens slowly.
    roof = 0.30 * (side - 4.5) - p.shoulder - 2.5 * np.exp(-np.square(side / 6.5))
    under = np.maximum(y - roof, 0)
    trunk = 1.85 * p.depth * trunk * (1 - 0.62 * np.exp(-under / 4.5)) * _organ_edge(y - roof, 0.6)
    neck = (
        2
        * 4.6
        * _trace_ellipsoid(side / (5.2 + 0.05 * np.clip(-y, 0, 9) ** 1.2))
        * _organ_edge(3 - y, 6)
    )
    axis = p.width + p.wall + 2.6 + 0.085 * p.arms * np.maximum(y, 0)
    upper_arm = 7.5 * _trace_ellipsoid((side - axis) / 4.0) * _organ_edge(y - 0.5, 3.0)
    shoulder = (
        7.0
        * _trace_ellipsoid((side - p.width - 1.0) / 6.5, (y - 3.5) / 6.0)
        * _organ_edge(y - roof, 0.6)
    )
    breast = 2.6 * p.breast * _trace_ellipsoid((side - 7.6) / 6.0, (y - 0.75 * p.height) / 5.0)
    return np.maximum(np.maximum(trunk, neck), np.maximum(shoulder, upper_arm)) + breast


def _trace_lung_vessels(p, fields, random, x, y):
    """Draw the branching vessels of the lungs as points, blur them, and return the path."""
    n, size = len(x), x.shape[-1]
    trunks, twigs, steps = 9, 4, 48
    s = np.linspace(0, 1, steps, dtype="f4")
    shape = (n, 2, trunks, twigs, 1)
    fan = np.linspace(-1.25, 1.35, trunks)[None, None, :, None, None]
    heading = fan + random.normal(0, 0.12, (n, 2, trunks, 1, 1))
    fork = random.uniform(0.1, 0.7, shape)
    turn = random.normal(0, 0.55, shape) * np.maximum(s - fork, 0)
    turn = turn + random.normal(0, 0.35, (n, 2, trunks, 1, 1)) * s
    angle = heading + turn
    length = 0.92 * p.width[..., None, None] * random.uniform(0.65, 1.0, shape) / steps
    sign = np.array([-1, 1])[None, :, None, None, None]
    px = sign * (2.6 + np.cumsum(length * np.cos(angle), axis=-1))
    py = 0.45 * p.height[..., None, None] + np.cumsum(1.15 * length * np.sin(angle), axis=-1)
    # The twigs of a trunk lie on each other until they fork, and share its cross-section.
    area = 0.8 * (1 - 0.9 * s) ** 1.5 / twigs + 0.012 + 0 * angle
    area = area * p.vessels[..., None, None] * (length * steps / 12)
    # From centimetres back to pixels: the inverse of the frame in ``radiographs``.
    dx, dy = (
        px + p.shift_x[..., None, None],
        py + (p.shift_y - 0.5 * p.height - 0.7)[..., None, None],
    )
    turn_back = p.turn[..., None, None]
    u = np.cos(turn_back) * dx - np.sin(turn_back) * dy
    v = np.sin(turn_back) * dx + np.cos(turn_back) * dy
    field = fields.pixel * size * p.zoom[..., None, None]
    column = (u / (field * p.aspect[..., None, None]) + 0.5) * size
    row = (v / field + 0.5) * size
    seen = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    image = np.broadcast_to(np.arange(n)[:, None, None, None, None], seen.shape)[seen]
    flat = (image * size + row[seen].astype(int)) * size + column[seen].astype(int)
    thick = np.broadcast_to(s < 0.33, seen.shape)[seen]
    weight = area[seen] * (12 / steps) / fields.pixel**2
    drawn = 0
    for part, sigma in ((thick, 0.20), (~thick, 0.11)):
        points = np.bincount(flat[part], weight[part], n * size * size)
        points = points.reshape(n, size, size).astype("f4")
        drawn = drawn + fields.blur(points, sigma)
    return np.minimum(drawn, 2.5)


def _trace_bones(p, x, y):
    """Return the path through spine, ribs, clavicles and shoulder blades."""
    return _trace_spine(p, x, y) + _trace_ribs(p, x, y) + _trace_shoulder_girdle(p, x, y)


def _trace_spine(p, x, y):
    """Return the path through vertebral bodies, pedicles and processes."""
    middle = x - p.scoliosis * np.sin(y / 6.0)
    level = y / (0.098 * p.height)
    disc = np.cos(2 * np.pi * level)
    body = (
        1.25
        * np.sqrt(_trace_ellipsoid(middle / (1.45 + 0.025 * y)))
        * (0.82 + 0.18 * np.clip(3 * disc, -1, 1))
    )
    offset = (level - np.floor(level) - 0.5) * 0.098 * p.height
    pedicles = 0.6 * _trace_ellipsoid((np.abs(middle) - 1.0) / 0.4, offset / 0.6)
    process = 0.5 * _trace_ellipsoid(middle / 0.4, (offset - 0.5) / 0.8)
    arms = 0.35 * _trace_ellipsoid((np.abs(middle) - 1.9) / 1.2, offset / 0.5)
    return body + pedicles + process + arms


def _trace_ribs(p, x, y):
    """Return the path through the walls of the ribs, at the back and in front."""
    side = np.abs(x)
    reach = (
        1.02 * p.width * np.sqrt(1 - np.maximum(1 - np.clip(y + 2.2, 0, None) / p.height, 0) ** 2.0)
    )
    reach = np.maximum(reach + 0.7, 1.0)
    sine = np.minimum(side / reach, 1)
    cosine = np.sqrt(1 - sine**2)
    within = side < reach + 0.3
    drawn = 0
    # A rib is a tilted ring: from the spine it falls slowly, then steeply, then runs on in front.
    for sign, calcium, last in ((1, 1.0, 10), (-1, 0.62, 6)):
        height = (
            y
            - p.rib_tilt * (1 - sign * cosine)
            + 0.9 * np.exp(-(((side - 4.5) / 3.5) ** 2)) * (sign > 0)
        )
        level = height / p.rib_spacing + p.rib_phase
        number = np.rint(level)
        steep = np.sqrt(1 + (0.35 * p.rib_tilt / reach * sine / np.maximum(cosine, 0.25)) ** 2)
        off = (level - number) * p.rib_spacing / steep / p.rib_width
        tube = np.sqrt(np.maximum(1 - off**2, 0)) - 0.72 * np.sqrt(np.maximum(0.66 - off**2, 0))
        tube *= (number > -1.5) & (number < last)
        if sign < 0:  # towards the breast bone a rib is cartilage, which hardly shows
            tube *= _organ_edge(side - 0.45 * p.width, 3.5)
        drawn = drawn + calcium * 1.25 * p.rib_width / 0.6 * tube * (1 + 0.7 * sine**6) * within
    return drawn * _organ_edge(side - 1.8, 0.8)


def _trace_shoulder_girdle(p, x, y):
    """Return the path through clavicles, shoulder blades and heads of the upper arms."""
    side = np.abs(x)
    axis = p.clavicle - p.clavicle_slope * (side - 2.0) + 0.5 * np.sin(side / 2.6) + 0.02 * x
    off = (y - axis) / (0.62 + 0.25 * np.exp(-(((side - 2.2) / 1.5) ** 2)))
    tube = np.sqrt(np.maximum(1 - off**2, 0)) - 0.55 * np.sqrt(np.maximum(0.55 - off**2, 0))
    clavicles = 1.9 * tube * _organ_edge(side - 1.6, 0.6) * _organ_edge(p.width + 2 - side, 2.0)
    blade = np.abs(side - (p.width - 0.5) - 0.12 * (y - 8)) < 0.35
    blades = blade * np.float32(0.5) * _organ_edge(y - 2.0, 2.0) * _organ_edge(14.0 - y, 2.0)
    head = 1.0 * _trace_ellipsoid((side - p.width - 4.5) / 2.6, (y - 0.5) / 2.6)
    return clavicles + blades + head
