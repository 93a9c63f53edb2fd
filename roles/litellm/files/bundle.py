"""Writes the list of authorities that LiteLLM trusts: what the image and the system trust, and the extra ones."""

import pathlib
import ssl

import certifi

sources = [certifi.where(), ssl.get_default_verify_paths().cafile, "/run/ca-extra/extra.pem"]
texts = [pathlib.Path(each).read_text() for each in sources if each and pathlib.Path(each).is_file()]
pathlib.Path("/run/ca/bundle.pem").write_text("\n".join(texts))
# A list with a broken certificate in it would fail at the first request to a provider, far from here.
ssl.create_default_context(cafile="/run/ca/bundle.pem")
