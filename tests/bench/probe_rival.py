# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe's rival: the same load by aiohttp, as somebody would write it who wants to know how long answers take.

`probe_rival.py SPEC`, the spec being the worker's. Prints JSON: for each request its load, whether it was a stream, its text and seconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

import aiohttp

Json = dict[str, Any]


async def ask(session: aiohttp.ClientSession, load: Json, stream: bool, found: list[Json]) -> None:
    prompt = f"{os.urandom(8).hex()} {load['prompt_suffix']}"
    body = {"model": load["model"], "messages": [{"role": "user", "content": prompt}], "stream": stream, "max_tokens": load["max_tokens"]}
    start, end, text = time.monotonic(), 0.0, ""
    async with session.post(f"{load['url']}/chat/completions", json=body) as response:
        if stream:
            async for line in response.content:
                if line.startswith(b"data: {"):
                    said = json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
                    end = end or (time.monotonic() if said else 0.0)
                    text += said
        else:
            text = (await response.json())["choices"][0]["message"]["content"]
            end = time.monotonic()
    found.append({"load": load["name"], "stream": stream, "text": text, "seconds": end - start})


async def schedule(session: aiohttp.ClientSession, load: Json, start: float, seconds: float, found: list[Json]) -> None:
    tasks = []
    for number in range(int(seconds * load["rate"])):
        await asyncio.sleep(max(0.0, start + number / load["rate"] - time.monotonic()))
        tasks.append(asyncio.ensure_future(ask(session, load, number % 2 == 1, found)))
    await asyncio.gather(*tasks)


async def main(spec: Json) -> list[Json]:
    found: list[Json] = []
    key = os.environ.get(spec["loads"][0]["key_env"] or "", "")
    # Connections are new ones each time, as the probe's are, and as many as it takes.
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with aiohttp.ClientSession(connector=connector, headers={"Authorization": f"Bearer {key}"}) as session:
        start = time.monotonic() + 0.05
        apart = {load["name"]: place / len(spec["loads"]) / load["rate"] for place, load in enumerate(spec["loads"])}
        await asyncio.gather(*(schedule(session, load, start + apart[load["name"]], spec["seconds"], found) for load in spec["loads"]))
    return found


print(json.dumps({"requests": asyncio.run(main(json.loads(sys.argv[1])))}))
