"""The sandbox: builds, boxes and the verbs on them."""
