# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""LiteLLM: bound the time to the first token of an answer, and not the answer.

LiteLLM's `timeout` bounds a whole non-streaming answer: a short one cuts long answers, a long one lets every client wait that long for a
backend that hangs. This package lies beside LiteLLM's config and is loaded by `callbacks: [first_token.entry.callback]`. A deployment
that has `first_token_timeout` in its `model_info` is then always asked for a stream. Its response is handed on once the first token is
there: a failure before it is an ordinary failed call, with fallback and cooldown. The tokens of a client that did not ask for a stream
are joined into one answer.

    bounds      what model_info says, in seconds
    question    the body of a request: asked for a stream or not
    events      server-sent events out of bytes
    progress    how far a stream of chunks has come
    answer      one chat.completion out of its chunks
    relay       reading a stream under its bounds
    deployment  which deployment the request at hand is for
    asleep      once more for what this process missed while it slept
    exchange    one request to a watched deployment, and its response
    transport   the httpx transport, and what its failures are to LiteLLM
    connecting  the bound on connecting, which holds for deployments that are not watched too
    declared    what the config says, and what of it cannot be done
    self_check  whether LiteLLM still works as this package needs it to
    loaded      putting it all into LiteLLM, or saying why not
    entry       what LiteLLM loads

Down to `deployment` nothing knows of httpx, down to `declared` nothing of LiteLLM. Requests that are no chat completions are left alone.
"""
