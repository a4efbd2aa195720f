"""The pages and files of ``deploy/``, checked by the tools they are made for."""
