"""From counts to time: what a layer takes at least on a device, by its arithmetic and its bytes.

``traffic`` says how many bytes have to be read and written, ``bounds`` makes times of them, and
``result`` shows them.
"""
