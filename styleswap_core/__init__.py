"""StyleSwap: face swapping with a style-based generator (Xu et al., ECCV 2022).

Importing the package is cheap on purpose: torch and insightface load with the modules that need them.
"""

__version__ = "0.1.0"
