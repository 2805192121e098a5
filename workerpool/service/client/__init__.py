"""The client of the job service: blocking calls over a pool; needs none of the server's libraries."""
