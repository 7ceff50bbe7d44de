#!/usr/bin/python3
"""Median round trip of PING in microseconds:  rtt.py META-URL (unix:// or redis://)"""
import socket
import statistics
import sys
import time
from urllib.parse import urlsplit

url = urlsplit(sys.argv[1])
if url.scheme == "unix":
    s = socket.socket(socket.AF_UNIX)
    s.connect(url.path)
else:
    s = socket.create_connection((url.hostname, url.port or 6379))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
times = []
for _ in range(300):
    start = time.perf_counter()
    s.sendall(b"PING\r\n")
    s.recv(100)
    times.append(time.perf_counter() - start)
print(round(statistics.median(times) * 1e6))
