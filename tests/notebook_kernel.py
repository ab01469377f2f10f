"""What a kernel of the notebooks' tests runs first. The kernel imports this file, so nothing here needs pytest."""

import ast
import dataclasses
import functools
import ipaddress
import re
import socket

# Images of a class: a PCA of 256 features needs as many letters, and some cells need enough steps (for EWC to diverge).
TRAIN, HELD_OUT = 14, 3
PHOTOS = 8
# What is computed twice is equal at any size; every other assert of a notebook is about results.
EQUALITY = re.compile(r"close\b|\bequals?\b|by_hand")


def offline():
    """Make whatever looks up or connects to another machine fail; returns a list of what was tried, which grows."""
    tried = []

    def guard(real, host_of):
        def guarded(*args, **kwargs):
            if not is_local(host := host_of(args)):
                tried.append(host)
                raise RuntimeError(f"the network was asked for {host!r}; tests and the notebooks work offline")
            return real(*args, **kwargs)

        return guarded

    def peer(args):
        address = args[1]  # a path for Unix sockets, (host, port, ...) for the internet's
        return address[0] if isinstance(address, tuple) else None

    socket.socket.connect = guard(socket.socket.connect, peer)
    socket.socket.connect_ex = guard(socket.socket.connect_ex, peer)
    socket.getaddrinfo = guard(socket.getaddrinfo, lambda args: args[0])
    return tried


def is_local(host):
    """Whether `host` (a name, an address, or None for "any") is this machine."""
    host = host.decode() if isinstance(host, bytes) else host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host in (None, "", "localhost", socket.gethostname())
    return address.is_loopback or address.is_unspecified


def shrink():
    """The smoke profile: one seed, few images of a class, small pictures, asserts only where two ways must agree.

    Every image comes through the two functions that are replaced here, also those of panels and sweeps. With so few,
    an epoch is a handful of steps, and all settings may stay as they are.
    """
    from IPython import get_ipython

    import ebll
    from ebll.data.catalog import TaskInfo

    load, load_photos = TaskInfo.load, ebll.paper.load_photos
    TaskInfo.load = functools.cache(lambda info, **options: few(load(info, **options), TRAIN))
    ebll.paper.load_photos = lambda *args, **options: few(load_photos(*args, **options), PHOTOS)
    ebll.course.PROFILES["fast"] = 1
    ebll.course.checks.least_alpha = lambda line: print(ebll.widgets.LabConfig.read(line))  # a target of all images
    ebll.plots.figure.DPI = 48
    get_ipython().ast_transformers.append(ResultsMayDiffer())


def few(task, train):
    """A task with the first images of each class."""
    import torch

    def first(split, count):
        return split.take(torch.cat([(split.labels == label).nonzero()[:count, 0] for label in split.labels.unique()]))

    held = {name: first(getattr(task, name), HELD_OUT) for name in ("validation", "test")}
    return dataclasses.replace(task, train=first(task.train, train), **held)


class ResultsMayDiffer(ast.NodeTransformer):
    """Evaluates an assert about results, and lets it pass whatever comes out."""

    def visit_Assert(self, node):
        if not EQUALITY.search(ast.unparse(node.test)):
            node.test = ast.BoolOp(ast.Or(), [node.test, ast.Constant(True)])
        return node
