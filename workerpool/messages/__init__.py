"""What travels: requests and their answers, frozen and picklable."""
