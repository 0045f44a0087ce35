"""The kube-scheduler extender. Not in this release."""
