"""Carries TCP connections on, each port to the same one: python relay.py <listen on> <to host> <port> ..."""

import asyncio
import sys


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # cut: the other side learns of it by the closing
    finally:
        writer.close()


async def serve(listen_on: str, to_host: str, port: int) -> None:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(to_host, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    server = await asyncio.start_server(carry, listen_on, port)
    await server.serve_forever()


async def main(listen_on: str, to_host: str, *ports: str) -> None:
    await asyncio.gather(*(serve(listen_on, to_host, int(port)) for port in ports))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
