#!/usr/bin/env python3
"""mpi4py_loop.py SOURCE TARGET [CHUNK]: what the first student systems do. Rank 0 sends the size, then chunks of 4 KiB as
pickled Python objects, then an end signal; rank 1 writes. Debian's mpi4py is built on Open MPI:

    mpiexec.openmpi -n 2 python3 bench/mpi4py_loop.py big.bin out.bin
"""

import os
import sys

from mpi4py import MPI

SIZE, DATA, END = 1, 2, 3


def main():
    source, target = sys.argv[1:3]
    chunk = int(sys.argv[3]) if len(sys.argv) > 3 else 4096
    comm = MPI.COMM_WORLD
    if comm.Get_rank() == 0:
        comm.send(os.path.getsize(source), dest=1, tag=SIZE)
        with open(source, "rb") as file:
            while block := file.read(chunk):
                comm.send(block, dest=1, tag=DATA)
        comm.send(None, dest=1, tag=END)
    elif comm.Get_rank() == 1:
        size, status, got = comm.recv(source=0, tag=SIZE), MPI.Status(), 0
        with open(target, "wb") as file:
            while True:
                block = comm.recv(source=0, tag=MPI.ANY_TAG, status=status)
                if status.Get_tag() == END:
                    break
                got += file.write(block)
        if got != size:
            sys.exit(f"got {got} bytes of {size}")


main()
