"""Generators and checks for those who change the project."""
