"""A made-up day of a PHP shop on Heroku, with incidents whose exact figures are known.

``script`` says what happens when; ``catalogue`` and ``visitors`` what is asked for and by whom; ``traffic``
and ``workers`` let the requests meet the PHP workers; the ``*_lines`` modules write what Heroku would log;
``truth`` counts it, and ``day`` puts it into deliveries.
"""

from ingest.simulator.shop.day import ShopDay
from ingest.simulator.shop.truth import Truth

__all__ = ["ShopDay", "Truth"]
