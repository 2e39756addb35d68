"""Training of the small networks that ship with the package: face detector, recognizers, attribute regressors."""
